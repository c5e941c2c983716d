"""From samples to a result: features, wake word, encoder, transducer, end-pointer, session."""
