# Runs a job script, argv[2], with Job and Repeat in reach, and writes what they
# are told to the descriptor argv[1], one JSON object a line: {"job": ...} for each
# call of Job, and at last "end", or what went wrong with the script itself. Jobs
# are checked by the program that reads this; here, only what JSON can't say.
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
    """A call of Job or Repeat with something that can't be accepted."""


class JobHandle(object):
    """A job that was added, for the `after` of others."""

    __slots__ = ("number", "name")

    def __init__(self, number, name):
        self.number = number
        self.name = name

    def __repr__(self):
        return "<job %d%s>" % (self.number, "" if self.name is None else " " + self.name)


class _Specs(object):
    """The way out of what the script says."""

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
        # What was wrong with a call that the script's own end does not show.
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

    def add(self, line, times, spec):
        """A job; gives back its number."""
        with self.lock:
            if self.ended:
                raise JobError("the script has ended: jobs are added before that")
            self.write("job", {"line": line, "repeat": times, "spec": spec})
            self.count += 1
            return self.count - 1

    def end(self):
        """Nothing is added any more; gives back how many jobs there are."""
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
            # Nobody reads any more: whoever started this has gone.
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


def _said(value):
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _text(place, value):
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if not isinstance(value, str):
        raise JobError("%s: %s is of type %s: a string is expected" % (place, _said(value), type(value).__name__))
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise JobError("%s: %s holds what UTF-8 can't: text is expected" % (place, ascii(value)))
    return value


def _texts(place, value):
    if isinstance(value, (str, os.PathLike)):
        value = [value]
    try:
        items = list(value)
    except TypeError:
        raise JobError("%s: %s is of type %s: a list of strings is expected" % (place, _said(value), type(value).__name__))
    return [_text("%s[%d]" % (place, at), item) for at, item in enumerate(items)]


def _paths(place, value, start):
    """Paths from where gjob was started, wherever the script is by now."""
    paths = _texts(place, value)
    here = os.getcwd()
    return paths if here == start else [os.path.join(here, path) for path in paths]


def _count(place, value):
    whole = hasattr(value, "__index__") and not isinstance(value, bool)
    number = value.__index__() if whole else -1
    if not 0 <= number < 1 << 32:
        raise JobError("%s: %s is not accepted: a whole number from 0 is expected" % (place, _said(value)))
    return number


def _after(specs, value):
    items = [value] if isinstance(value, (str, JobHandle)) else value
    try:
        items = list(items)
    except TypeError:
        items = [items]
    numbers = []
    for at, item in enumerate(items):
        if isinstance(item, JobHandle):
            numbers.append(item.number)
        elif isinstance(item, str):
            numbers.append(_text("after[%d]" % at, item))
        elif isinstance(item, (list, tuple)):
            numbers.extend(_after(specs, item))
        else:
            raise JobError(
                "after[%d]: %s is of type %s: what Job() has returned, or a job's name, is expected"
                % (at, _said(item), type(item).__name__)
            )
    return numbers


def _environment(value):
    try:
        pairs = list(dict(value).items())
    except (TypeError, ValueError):
        raise JobError("env: %s is of type %s: a dict is expected" % (_said(value), type(value).__name__))
    return {_text("env", name): _variable("env[%r]" % name, item) for name, item in pairs}


def _variable(place, value):
    if isinstance(value, (str, os.PathLike)):
        return _text(place, value)
    if isinstance(value, bool) or not hasattr(value, "__float__"):
        raise JobError("%s: %s is of type %s: a string or a number is expected" % (place, _said(value), type(value).__name__))
    return str(value)


def _amount(place, value):
    seconds = getattr(value, "total_seconds", None)
    if isinstance(value, str):
        return value
    if seconds is not None:
        return seconds()
    if isinstance(value, bool) or not hasattr(value, "__float__"):
        raise JobError("%s: %s is of type %s: a number or a string is expected" % (place, _said(value), type(value).__name__))
    if value != value or value in (float("inf"), float("-inf")):
        raise JobError("%s: %s is not accepted: a finite number is" % (place, _said(value)))
    return value.__index__() if hasattr(value, "__index__") else float(value)


def _flag(place, value):
    if not isinstance(value, bool):
        raise JobError("%s: %s is not accepted: True or False is" % (place, _said(value)))
    return value


def _distance(a, b):
    row = list(range(len(b) + 1))
    for i, letter in enumerate(a[:80]):
        diagonal, row[0] = row[0], i + 1
        for j, other in enumerate(b):
            diagonal, row[j + 1] = row[j + 1], min(diagonal + (letter != other), row[j + 1] + 1, row[j] + 1)
    return row[-1]


def _unknown(name, known):
    distance, nearest = min((_distance(name, field), field) for field in known)
    perhaps = ", perhaps %r is meant" % nearest if distance <= min(2, len(nearest) // 2) else ""
    return JobError("unknown keyword %r%s: the keywords are %s" % (name, perhaps, ", ".join(known)))


def _functions(specs):
    start = os.getcwd()
    kinds = {
        "files": lambda value: _paths("files", value, start),
        "outputs": lambda value: _texts("outputs", value),
        "name": lambda value: _text("name", value),
        "env": _environment,
        "timeout": lambda value: _amount("timeout", value),
        "mem": lambda value: _amount("mem", value),
        "cpus": lambda value: value if isinstance(value, str) else _count("cpus", value),
        "gpus": lambda value: _count("gpus", value),
        "retries": lambda value: _count("retries", value),
        "link": lambda value: _flag("link", value),
        "after": lambda value: _after(specs, value),
    }
    known = ["commands", "files", "name", "repeat"] + sorted(set(kinds) - {"files", "name"})

    def Job(commands=(), files=(), name=None, repeat=None, **more):
        """Adds a job: a bash script of `commands`, run with `-e`, with `files` in its directory."""
        try:
            return add(commands, files, name, repeat, more)
        except JobError as error:
            if specs.winding_up or _thread.get_ident() != specs.thread:
                specs.fault = {"file": specs.script, "line": specs.line(), "message": str(error)}
            raise

    def add(commands, files, name, repeat, more):
        if specs.is_forked():
            raise JobError("Job was called in a process that the script has forked: calls in its own are expected")
        spec = {"cmds": _texts("commands", commands)}
        more["files"] = files
        more["name"] = name
        for keyword, value in more.items():
            if keyword not in kinds:
                raise _unknown(keyword, known)
            if value is not None:
                value = kinds[keyword](value)
                if value or value == 0:
                    spec[keyword] = value
        if isinstance(name, str):
            spec["name"] = name
        times = specs.repeat if repeat is None else _count("repeat", repeat)
        return JobHandle(specs.add(specs.line(), times, spec), spec.get("name"))

    def Repeat(repeat):
        """Sets how often the jobs that follow are run, if they don't say it."""
        specs.repeat = _count("repeat", repeat)

    # As a TypeError calls them.
    Job.__qualname__ = "Job"
    Repeat.__qualname__ = "Repeat"
    return {"Job": Job, "Repeat": Repeat, "AddJob": Job, "SetRepeat": Repeat}


def _place(trace, script):
    """The file and line of the last frame that is not the shim's."""
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
    """The script's code, or none and what is wrong with its text."""
    with open(script, "rb") as file:
        text = file.read()
    try:
        return compile(text, script, "exec", dont_inherit=True), None
    except (SyntaxError, ValueError) as error:
        return None, "".join(traceback.format_exception_only(type(error), error))


def _run(specs, namespace):
    """Runs the script; what becomes of it, as a word and its content."""
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
    """What Python does at a script's end: it waits for threads that are no
    daemons, and calls what `atexit` was given. These may add jobs still."""
    try:
        if "threading" in sys.modules:
            sys.modules["threading"]._shutdown()
        atexit._run_exitfuncs()
    except KeyboardInterrupt:
        os._exit(130)
    except BaseException:
        # It has been shown; Python leaves it at that, too.
        pass


def _main():
    descriptor, script, arguments = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
    os.set_inheritable(descriptor, False)
    specs = _Specs(descriptor, script)
    functions = _functions(specs)
    module = types.ModuleType("gjob", "What a job script has in reach without importing it.")
    module.__dict__.update(functions, JobError=JobError)
    sys.modules["gjob"] = module
    main = types.ModuleType("__main__")
    main.__dict__.update(functions, __file__=script, __builtins__=builtins)
    sys.modules["__main__"] = main
    sys.argv = [script] + arguments
    # What `python -c` has put there, if it has.
    sys.path[:1] = [os.path.dirname(os.path.abspath(script))] + [path for path in sys.path[:1] if path]
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
