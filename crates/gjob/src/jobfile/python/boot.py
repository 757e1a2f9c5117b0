# For every Python there is: what the shim itself can't be read by is said here.
import os, sys
if sys.version_info < (3, 6):
    os.write(int(sys.argv[2]), ('{"old":"%d.%d"}\n' % sys.version_info[:2]).encode())
    os._exit(0)
exec(compile(sys.argv.pop(1), "<gjob>", "exec"))
