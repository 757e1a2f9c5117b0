# This has to run on every Python, to report those that cannot even parse the shim.
import os, sys
if sys.version_info < (3, 6):
    os.write(int(sys.argv[2]), ('{"old":"%d.%d"}\n' % sys.version_info[:2]).encode())
    os._exit(0)
exec(compile(sys.argv.pop(1), "<gjob>", "exec"))
