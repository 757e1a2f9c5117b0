# Runs the job script argv[2], which can call Job and Repeat, and writes their
# arguments to the descriptor argv[1], one JSON object per line: {"job": ...} for
# each call of Job, and finally "end", or what went wrong with the script itself.
# The reader checks the jobs; here, only what JSON cannot hold is refused.
# Python 3.6 and newer.
import _thread
import atexit
import builtins
import json
import os
import sys
import traceback
import types

_OWN = "<gjob>"
_KEPT = 1 << 16


class JobError(Exception):
    """A call of Job or Repeat with something that cannot be a job's."""


class JobHandle(object):
    """A job that was added, for the `after` of others."""

    __slots__ = ("number", "name")

    def __init__(self, number, name):
        self.number = number
        self.name = name

    def __repr__(self):
        return "<job %d%s>" % (self.number, "" if self.name is None else " " + self.name)


class _Specs(object):
    """The pipe that the script's jobs are written to."""

    def __init__(self, descriptor, script):
        self.descriptor = descriptor
        self.script = script
        self.process = os.getpid()
        self.encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
        self.lines = []
        self.size = 0
        self.repeat = None
        self.count = 0
        self.ended = False
        self.thread = _thread.get_ident()
        # A mistake in a call that does not end the script, as in a thread.
        self.fault = None
        # Jobs may come from several threads.
        self.lock = _thread.allocate_lock()
        self.winding_up = False

    def write(self, word, content):
        line = self.encode({word: content})
        self.lines.append(line)
        self.size += len(line)
        if self.size > _KEPT:
            self.flush()

    def add(self, line, spec):
        """Adds a job and returns its number."""
        with self.lock:
            if self.ended:
                raise JobError("the script has ended: expected jobs before that")
            self.write("job", {"line": line, "spec": spec})
            self.count += 1
            return self.count - 1

    def end(self):
        """Adds no more jobs; returns how many there are."""
        with self.lock:
            self.ended = True
            return self.count

    def flush(self):
        data = ("\n".join(self.lines) + "\n").encode("utf-8")
        self.lines = []
        self.size = 0
        try:
            while data:
                data = data[os.write(self.descriptor, data) :]
        except OSError:
            # The reader has gone.
            os._exit(1)

    def is_forked(self):
        return os.getpid() != self.process

    def line(self):
        """The line of the script that leads to the call of Job or Repeat."""
        frame = sys._getframe(2)
        while frame is not None:
            if frame.f_code.co_filename == self.script:
                return frame.f_lineno
            frame = frame.f_back
        return 0


def _shown(value):
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _unexpected(place, value, expected):
    return JobError("%s: expected %s, found %s of type %s" % (place, expected, _shown(value), type(value).__name__))


def _is_text(value):
    if type(value) is not str:
        return False
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _text(value):
    """Text with bytes that are not UTF-8, as Python has them in names, as gjob has them."""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "surrogateescape")
    return "".join([chr(0x10FF00 + ord(c) - 0xDC00) if 0xDC80 <= ord(c) <= 0xDCFF else c for c in value])


def _is_number(value):
    return not isinstance(value, bool) and (hasattr(value, "__index__") or hasattr(value, "__float__"))


def _number(place, value):
    if hasattr(value, "__index__"):
        return value.__index__()
    number = float(value)
    if number != number or number in (float("inf"), float("-inf")):
        raise JobError("%s: expected a finite number, found %r" % (place, number))
    return number


def _plain(place, value):
    """A value as JSON can hold it. Whether a field may have it is not decided here."""
    if _is_text(value) or type(value) is int or isinstance(value, bool):
        return value
    if hasattr(value, "__fspath__"):
        value = os.fspath(value)
    if isinstance(value, (str, bytes)):
        value = _text(value)
        if _is_text(value):
            return value
        raise JobError("%s: expected text, found %s, which UTF-8 cannot hold" % (place, ascii(value)))
    if isinstance(value, dict):
        return {_plain(place, name): _plain("%s[%r]" % (place, name), item) for name, item in value.items()}
    if hasattr(value, "total_seconds"):
        return value.total_seconds()
    try:
        items = list(value)
    except TypeError:
        if _is_number(value):
            return _number(place, value)
        raise _unexpected(place, value, "text, a number or a list")
    return [item if _is_text(item) else _plain("%s[%d]" % (place, at), item) for at, item in enumerate(items)]


def _paths(place, value, start):
    """Paths from where gjob was started, wherever the script is by now."""
    paths = _plain(place, value)
    here = os.getcwd()
    if here == start or not isinstance(paths, (str, list)):
        return paths
    paths = [paths] if isinstance(paths, str) else paths
    return [os.path.join(here, path) if isinstance(path, str) else path for path in paths]


def _variables(place, value):
    try:
        variables = dict(value)
    except (TypeError, ValueError):
        raise _unexpected(place, value, "a dict")
    return {_plain(place, name): _variable(place, name, item) for name, item in variables.items()}


def _variable(place, name, value):
    """Numbers as Python writes them; JSON would lose digits."""
    if _is_text(value):
        return value
    return str(value) if _is_number(value) else _plain("%s[%r]" % (place, name), value)


def _after(value):
    """Jobs by what Job() has returned, names and numbers, however they are nested."""
    if isinstance(value, JobHandle):
        return [value.number]
    if isinstance(value, str) or _is_number(value):
        return [_plain("after", value)]
    try:
        items = list(value)
    except TypeError:
        raise _unexpected("after", value, "what Job() has returned or the name of a job")
    return [job for item in items for job in _after(item)]


def _count(place, value):
    if not _is_number(value) or not hasattr(value, "__index__") or not 0 <= value.__index__() < 1 << 32:
        raise _unexpected(place, value, "a whole number from 0")
    return value.__index__()


def _functions(specs):
    start = os.getcwd()
    # Keywords whose values mean more than JSON can hold. All others pass as they are.
    special = {
        "files": lambda value: _paths("files", value, start),
        "env": lambda value: _variables("env", value),
        "params": lambda value: _variables("params", value),
        "after": _after,
    }

    def Job(commands=(), files=(), name=None, repeat=None, **more):
        """Adds a job: a bash script of `commands`, run with `-e`, with `files` in its directory."""
        more.update(commands=commands, files=files, name=name, repeat=repeat)
        try:
            return add(more)
        except JobError as error:
            if specs.winding_up or _thread.get_ident() != specs.thread:
                specs.fault = {"file": specs.script, "line": specs.line(), "message": str(error)}
            raise

    def add(arguments):
        if specs.is_forked():
            raise JobError("Job was called in a forked process: expected calls in the script's own process")
        spec = {}
        for keyword, value in arguments.items():
            if value is None:
                continue
            value = special[keyword](value) if keyword in special else _plain(keyword, value)
            if value != [] or keyword == "commands":
                spec[keyword] = value
        if specs.repeat is not None:
            spec.setdefault("repeat", specs.repeat)
        return JobHandle(specs.add(specs.line(), spec), spec.get("name"))

    def Repeat(repeat):
        """Sets how many copies of the following jobs to run, unless they have `repeat`."""
        specs.repeat = _count("repeat", repeat)

    # The names that a TypeError shows.
    Job.__qualname__ = "Job"
    Repeat.__qualname__ = "Repeat"
    return {"Job": Job, "Repeat": Repeat, "AddJob": Job, "SetRepeat": Repeat}


def _place(trace, script):
    """The file and line of the last frame outside the shim."""
    place = (script, 0)
    while trace is not None:
        name = trace.tb_frame.f_code.co_filename
        if name != _OWN:
            place = (name, trace.tb_lineno)
        trace = trace.tb_next
    return place


def _without_own(error):
    """The traceback's text, the shim's frames left out, in chained errors too."""
    report = traceback.TracebackException.from_exception(error)
    seen = set()
    pending = [report]
    while pending:
        one = pending.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        one.stack = traceback.StackSummary.from_list([f for f in one.stack if f.filename != _OWN])
        pending += [one.__cause__, one.__context__]
    return "".join(report.format())


def _load(script):
    """The script's code, or None and what is wrong with its text."""
    with open(script, "rb") as file:
        text = file.read()
    try:
        return compile(text, script, "exec", dont_inherit=True), None
    except (SyntaxError, ValueError) as error:
        return None, "".join(traceback.format_exception_only(type(error), error))


def _run(specs, namespace):
    """Runs the script; returns its last message as a word and its content."""
    try:
        code, problem = _load(specs.script)
        if problem is not None:
            return "raised", problem
        exec(code, namespace)
    except SystemExit as leaving:
        if specs.is_forked():
            raise
        if leaving.code not in (None, 0):
            return "exit", str(leaving.code) if isinstance(leaving.code, str) else "exit status %s" % (leaving.code,)
    except KeyboardInterrupt:
        os._exit(130)
    except JobError as error:
        if specs.is_forked():
            raise
        name, line = _place(error.__traceback__, specs.script)
        return "call", {"file": name, "line": line, "message": str(error)}
    except BaseException as error:
        if specs.is_forked():
            raise
        return "raised", _without_own(error)
    return "end", None


def _wind_up():
    """Waits for threads that are not daemons and calls exit handlers, as Python
    does at a script's end. They may still add jobs."""
    try:
        if "threading" in sys.modules:
            sys.modules["threading"]._shutdown()
        atexit._run_exitfuncs()
    except KeyboardInterrupt:
        os._exit(130)
    except BaseException:
        # It was printed already, and Python itself would go on, too.
        pass


def _main():
    descriptor, script, arguments = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
    os.set_inheritable(descriptor, False)
    specs = _Specs(descriptor, script)
    functions = _functions(specs)
    module = types.ModuleType("gjob", "The functions that job scripts can call without importing them.")
    module.__dict__.update(functions, JobError=JobError)
    sys.modules["gjob"] = module
    main = types.ModuleType("__main__")
    main.__dict__.update(functions, __file__=script, __builtins__=builtins)
    sys.modules["__main__"] = main
    sys.argv = [script] + arguments
    sys.path.insert(0, os.path.dirname(os.path.abspath(script)))
    word, content = _run(specs, main.__dict__)
    if specs.is_forked():
        return
    if word == "end":
        specs.winding_up = True
        _wind_up()
        content = {"jobs": specs.end()}
        if specs.fault is not None:
            word, content = "call", specs.fault
    specs.write(word, content)
    specs.flush()
    if word != "end":
        atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            pass
    os._exit(0)


_main()
