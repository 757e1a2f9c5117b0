# A job file for the module that gjob grew out of, unchanged: it calls Job and Repeat
# without an import.
#   gjob run classic.py --show all

SCRIPT = 'fit.sh'
RATES = [0.1, 0.05]
LAYERS = range(1, 3)

Repeat(2)

for rate in RATES:
    for layer in LAYERS:
        name = 'layer%d-rate%.2f' % (layer, rate)
        print('adding %s' % name)
        Job(commands = ['chmod u+x %s' % SCRIPT,
                        './%s %.2f $GJOB_REPEAT' % (SCRIPT, rate * layer)],
            files = [SCRIPT],
            name = name)

Job(['echo "all of %(rates)d rates"' % {'rates': len(RATES)}], repeat = 1)
