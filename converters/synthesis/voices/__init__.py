"""Speech engines behind one interface (`engine.Engine`) and the speakers made from them."""
