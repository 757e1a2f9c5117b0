#!/bin/bash
# A stand-in for a program that takes a while: it "trains" with a rate and a seed, and
# prints the loss.
rate=$1 seed=$2
awk -v rate="$rate" -v seed="$seed" 'BEGIN {
    srand(seed)
    loss = 1
    for (i = 0; i < 1000; i++) loss *= 1 - rate * rand() / 100
    printf "%s\t%s\t%.4f\n", rate, seed, loss
}'
