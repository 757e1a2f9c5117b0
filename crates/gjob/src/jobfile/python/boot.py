# This has to run on every Python, to report those that cannot even parse the shim.
import os, sys
# With -c, modules would come from the working directory first, which may be anybody's.
if sys.path[:1] == [""]:
    del sys.path[0]
if sys.version_info < (3, 6):
    os.write(int(sys.argv[2]), ('{"old":"%d.%d"}\n' % sys.version_info[:2]).encode())
    os._exit(0)
exec(compile(sys.argv.pop(1), "<gjob>", "exec"))
