"""Which events a pattern matches, as CloudWatch Logs and EventBridge document it.

Standard input is {"pattern": …, "events": [{…}, …]}; the pattern is a text (a metric filter over JSON) or an object (an
event pattern). Standard output is a list with true or false for each event. A form that is not known here is an error.
"""

import json
import operator
import re
import sys

TOKEN = re.compile(r"""\s*(?: (?P<word>&& | \|\| | [(){}] | <= | >= | != | [=<>] | IS \s+ (?:TRUE|FALSE|NULL) | NOT \s+ EXISTS)
                            | (?P<path>\$(?:\.\w+)+) | "(?P<text>[^"]*)" | (?P<number>-?\d+(?:\.\d+)?) )""", re.VERBOSE)
COMPARISONS = {"=": operator.eq, "!=": operator.ne, "<": operator.lt, ">": operator.gt, "<=": operator.le, ">=": operator.ge}
CONSTANTS = {"TRUE": True, "FALSE": False, "NULL": None}
MISSING = object()


class MetricFilter:
    """`{ $.a = "x" && ($.b IS FALSE || $.c < 0.5) }`"""

    def __init__(self, text):
        self.tokens, at = [], 0
        while text[at:].strip():
            token = TOKEN.match(text, at)
            assert token, f"not a metric filter: {text[at:]!r}"
            self.tokens.append(next((kind, value) for kind, value in token.groupdict().items() if value is not None))
            at = token.end()
        self.take("{")
        self.matches = self.any_of()
        self.take("}")
        assert not self.tokens, self.tokens

    def next_is(self, word):
        return bool(self.tokens) and self.tokens[0] == ("word", word)

    def take(self, word):
        assert self.next_is(word), f"expected {word} before {self.tokens}"
        self.tokens.pop(0)

    def any_of(self):
        parts = [self.all_of()]
        while self.next_is("||"):
            self.take("||")
            parts.append(self.all_of())
        return lambda event: any(part(event) for part in parts)

    def all_of(self):
        parts = [self.one()]
        while self.next_is("&&"):
            self.take("&&")
            parts.append(self.one())
        return lambda event: all(part(event) for part in parts)

    def one(self):
        if self.next_is("("):
            self.take("(")
            inner = self.any_of()
            self.take(")")
            return inner
        (kind, path), (_, word) = self.tokens.pop(0), self.tokens.pop(0)
        assert kind == "path", path
        if word.startswith("IS"):
            constant = CONSTANTS[word.split()[1]]
            return lambda event: value_at(event, path) is constant
        kind, operand = self.tokens.pop(0)
        wanted = float(operand) if kind == "number" else operand
        is_type = lambda value: isinstance(value, (int, float)) and not isinstance(value, bool) if kind == "number" else isinstance(value, str)

        def compare(event):
            value = value_at(event, path)
            return is_type(value) and COMPARISONS[word](value, wanted)

        return compare


def value_at(event, path):
    for name in path.split(".")[1:]:
        if not isinstance(event, dict) or name not in event:
            return MISSING
        event = event[name]
    return event


def event_matches(pattern, event):
    """An event pattern: objects by key, lists of what a value may be, `$or`, `prefix` and `anything-but`."""
    for key, rule in pattern.items():
        if key == "$or":
            if not any(event_matches(one, event) for one in rule):
                return False
            continue
        values = [each[key] for each in (event if isinstance(event, list) else [event]) if key in each]
        values = [value for each in values for value in (each if isinstance(each, list) else [each])]
        if isinstance(rule, dict):
            if not any(event_matches(rule, value) for value in values):
                return False
        elif not any(value_matches(one, value) for one in rule for value in values):
            return False
    return True


def value_matches(rule, value):
    if not isinstance(rule, dict):
        return rule == value
    (kind, operand), = rule.items()
    if kind == "prefix":
        return value.startswith(operand)
    assert kind == "anything-but", kind
    return value not in operand


def main():
    asked = json.load(sys.stdin)
    pattern = asked["pattern"]
    matches = MetricFilter(pattern).matches if isinstance(pattern, str) else lambda event: event_matches(pattern, event)
    json.dump([matches(event) for event in asked["events"]], sys.stdout)


main()
