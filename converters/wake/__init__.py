"""From a phrase and recordings to a streaming wake-word model.

The order of the steps, each in its own file; `whole_run` goes through them:

1. `recordings`   which real clip is a positive, a negative, noise, or left out, and why;
   `folders`      plain recordings of an owner; `own_pools` makes speech from the phrase alone;
2. `utterances`   one kind of record for real clips and for pools of synthetic speech;
3. `augmentation` one utterance becomes several: speed, vocal tract, room, level;
4. `feature_bank` log-mel of all those copies in one file on disk, mapped into memory;
5. `streams`      seconds of made-up life from the bank: words in speech, pauses, noise, level;
6. `targets`      what the model should say in every frame of such a stream;
7. `model`        the causal network, in PyTorch; `warm_start` reads it back from a file;
8. `training`     the loop: checkpoints, moving average, mining, choice by real dev clips;
9. `detection`    scores to events, events to misses and false accepts, the threshold;
10. `export`      the same network as an int8 .tflite file;
11. `report`      wake.json, report.json, report.md and a picture.
"""
