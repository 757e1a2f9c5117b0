# A parameter sweep: every rate with every seed. The rates can be arguments:
#   gjob run sweep.py --show all -- 0.3 0.1
import sys

rates = sys.argv[1:] or ["0.1", "0.01"]
for rate in rates:
    for seed in range(1, 4):
        Job(
            "./fit.sh %s %d" % (rate, seed),
            files="fit.sh",
            name="fit-%s-%d" % (rate, seed),
            params={"rate": rate, "seed": seed},
            timeout="5m",
        )
