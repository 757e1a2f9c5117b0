# Runs a user's job script with Job and Repeat in reach, and writes what they
# are told to the descriptor in argv[1], one JSON object a line:
# {"line": N, "repeat": N or null, "spec": {...}} for a job, and at last
# {"end": {"jobs": N}}, or {"fail": {...}} when the script itself went wrong.
# Python 3.6 and newer.
import builtins
import json
import os
import sys
import traceback
import types

_OWN = __name__ + ".shim"
_FIELDS = json.loads(sys.argv[2])


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
    def __init__(self, descriptor, script):
        self.out = os.fdopen(descriptor, "w", encoding="utf-8", buffering=1 << 16)
        self.script = script
        self.repeat = None
        self.count = 0

    def write(self, **line):
        self.out.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")))
        self.out.write("\n")

    def line(self):
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
        raise JobError("%s: %s is a %s: a string is expected" % (place, _said(value), type(value).__name__))
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
        raise JobError("%s: %s is a %s: a list of strings is expected" % (place, _said(value), type(value).__name__))
    return [_text("%s[%d]" % (place, at), item) for at, item in enumerate(items)]


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
                "after[%d]: %s is a %s: what Job() has returned, or a job's name, is expected"
                % (at, _said(item), type(item).__name__)
            )
    return numbers


def _environment(value):
    try:
        pairs = list(dict(value).items())
    except (TypeError, ValueError):
        raise JobError("env: %s is a %s: a dict is expected" % (_said(value), type(value).__name__))
    plain = lambda item: str(item) if isinstance(item, (int, float)) and not isinstance(item, bool) else item
    return {_text("env", name): _text("env[%r]" % name, plain(item)) for name, item in pairs}


def _number_or_text(place, value):
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        plain = getattr(value, "total_seconds", None) or getattr(value, "__index__", None)
        if plain is None or isinstance(value, bool):
            raise JobError("%s: %s is a %s: a number or a string is expected" % (place, _said(value), type(value).__name__))
        return plain()
    if value != value or value in (float("inf"), float("-inf")):
        raise JobError("%s: %s is not accepted: a finite number is" % (place, _said(value)))
    return value


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
    kinds = {
        "files": lambda value: _texts("files", value),
        "outputs": lambda value: _texts("outputs", value),
        "name": lambda value: _text("name", value),
        "env": _environment,
        "timeout": lambda value: _number_or_text("timeout", value),
        "mem": lambda value: _number_or_text("mem", value),
        "cpus": lambda value: value if value == "all" else _count("cpus", value),
        "gpus": lambda value: _count("gpus", value),
        "retries": lambda value: _count("retries", value),
        "link": lambda value: _flag("link", value),
        "after": lambda value: _after(specs, value),
    }
    kinds = {name: kind for name, kind in kinds.items() if name in _FIELDS}
    known = ["commands", "files", "name", "repeat"] + sorted(set(kinds) - {"files", "name"})

    def Job(commands=(), files=(), name=None, repeat=None, **more):
        """Adds a job: a bash script of `commands`, run with `-e`, with `files` in its directory."""
        spec = {"cmds": _texts("commands", commands)}
        more.update((("files", files), ("name", name)))
        for keyword in more:
            if keyword not in kinds:
                raise _unknown(keyword, known)
        for keyword, value in more.items():
            if value is not None and value != () and value != []:
                spec[keyword] = kinds[keyword](value)
        times = specs.repeat if repeat is None else _count("repeat", repeat)
        specs.write(line=specs.line(), repeat=times, spec=spec)
        specs.count += 1
        return JobHandle(specs.count - 1, spec.get("name"))

    def Repeat(repeat):
        """Sets how often the jobs that follow are run, if they don't say it."""
        specs.repeat = _count("repeat", repeat)

    return {"Job": Job, "Repeat": Repeat, "AddJob": Job, "SetRepeat": Repeat}


def _users(trace, script):
    """A traceback from the script's own first frame on, and its last frame not of the shim."""
    while trace is not None and trace.tb_frame.f_code.co_filename == _OWN:
        trace = trace.tb_next
    last = (script, 0)
    walk = trace
    while walk is not None:
        name = walk.tb_frame.f_code.co_filename
        if name != _OWN:
            last = (name, walk.tb_lineno)
        walk = walk.tb_next
    return trace, last


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


def _main():
    descriptor, script, arguments = int(sys.argv[1]), sys.argv[3], sys.argv[4:]
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
    sys.path[0] = os.path.dirname(os.path.abspath(script))
    try:
        with open(script, "rb") as file:
            code = compile(file.read(), script, "exec", dont_inherit=True)
        exec(code, main.__dict__)
        # Else a loop over all jobs would be the place of an error at the end.
        specs.write(end={"jobs": specs.count})
    except SystemExit as leaving:
        if leaving.code in (None, 0):
            specs.write(end={"jobs": specs.count})
        else:
            specs.write(fail={"exit": str(leaving.code)})
    except JobError as error:
        name, line = _users(error.__traceback__, script)[1]
        specs.write(fail={"file": name, "line": line, "message": str(error)})
    except BaseException as error:
        sys.stdout.flush()
        specs.write(fail={"traceback": _without_own(error)})
    try:
        sys.stdout.flush()
        specs.out.close()
    except OSError:
        # Nobody reads any more: whoever started this has gone.
        os._exit(1)
    # Threads that the script has left behind don't hold anything up.
    sys.stderr.flush()
    os._exit(0)


_main()
