"""The streaming transducer recogniser: loss, model, training, evaluation."""
