"""What hearing costs on this machine: CPU, time of each stage, memory, start-up."""
