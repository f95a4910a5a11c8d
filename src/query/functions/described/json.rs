//! Functions of JSON, which are of the crate `datafusion-functions-json`.

use super::Description;

const JSON: (&str, &str) = (
    "json",
    "A text of JSON, such as message; a text that is no JSON gives NULL",
);
const PATH: (&str, &str) = (
    "path",
    "The way to a member: names of members, and places in arrays from 0, each as an argument",
);

pub(super) const DESCRIPTIONS: &[Description] = &[
    Description {
        name: "json_get",
        syntax: "json_get(json, path, …)",
        answers: "A member of JSON of any type; the operator -> is the same. A cast makes it a number, a text or a boolean.",
        arguments: &[JSON, PATH],
        example: (
            "SELECT json_get('{\"a\":{\"n\":2}}', 'a', 'n')::int + 1 AS n",
            "\
+---+
| n |
+---+
| 3 |
+---+",
        ),
    },
    Description {
        name: "json_as_text",
        syntax: "json_as_text(json, path, …)",
        answers: "A member of JSON as text, whatever its type; the operator ->> is the same.",
        arguments: &[JSON, PATH],
        example: (
            "SELECT json_as_text('{\"a\":[1,2]}', 'a') AS a, '{\"a\":[1,2]}' ->> 'a' AS b",
            "\
+-------+-------+
| a     | b     |
+-------+-------+
| [1,2] | [1,2] |
+-------+-------+",
        ),
    },
    Description {
        name: "json_get_str",
        syntax: "json_get_str(json, path, …)",
        answers: "A member of JSON that is a string. NULL if it is of another type.",
        arguments: &[JSON, PATH],
        example: (
            "SELECT json_get_str('{\"user\":\"kim\"}', 'user') AS a, json_get_str('{\"user\":7}', 'user') AS b",
            "\
+-----+---+
| a   | b |
+-----+---+
| kim |   |
+-----+---+",
        ),
    },
    Description {
        name: "json_get_int",
        syntax: "json_get_int(json, path, …)",
        answers: "A member of JSON that is a whole number, as bigint. NULL if it is of another type.",
        arguments: &[JSON, PATH],
        example: (
            "SELECT json_get_int('{\"items\":[{\"n\":3}]}', 'items', 0, 'n') AS n",
            "\
+---+
| n |
+---+
| 3 |
+---+",
        ),
    },
    Description {
        name: "json_get_float",
        syntax: "json_get_float(json, path, …)",
        answers: "A member of JSON that is a number, as double precision. NULL if it is of another type.",
        arguments: &[JSON, PATH],
        example: (
            "SELECT json_get_float('{\"ms\":12.5}', 'ms') * 2 AS ms",
            "\
+------+
| ms   |
+------+
| 25.0 |
+------+",
        ),
    },
    Description {
        name: "json_get_bool",
        syntax: "json_get_bool(json, path, …)",
        answers: "A member of JSON that is true or false. NULL if it is of another type.",
        arguments: &[JSON, PATH],
        example: (
            "SELECT json_get_bool('{\"ok\":false}', 'ok') AS ok",
            "\
+-------+
| ok    |
+-------+
| false |
+-------+",
        ),
    },
    Description {
        name: "json_get_json",
        syntax: "json_get_json(json, path, …)",
        answers: "A member of JSON as the text that stands there, strings with their quotes.",
        arguments: &[JSON, PATH],
        example: (
            "SELECT json_get_json('{\"user\":\"kim\"}', 'user') AS a",
            "\
+-------+
| a     |
+-------+
| \"kim\" |
+-------+",
        ),
    },
    Description {
        name: "json_get_array",
        syntax: "json_get_array(json, path, …)",
        answers: "A member of JSON that is an array, as an array of the texts of its elements.",
        arguments: &[JSON, PATH],
        example: (
            "SELECT unnest(json_get_array('{\"tags\":[1,2]}', 'tags')) AS tag",
            "\
+-----+
| tag |
+-----+
| 1   |
| 2   |
+-----+",
        ),
    },
    Description {
        name: "json_contains",
        syntax: "json_contains(json, path, …)",
        answers: "Whether JSON has such a member; the operator ? is the same.",
        arguments: &[JSON, PATH],
        example: (
            "SELECT json_contains('{\"a\":null}', 'a') AS a, json_contains('{\"a\":null}', 'b') AS b",
            "\
+------+-------+
| a    | b     |
+------+-------+
| true | false |
+------+-------+",
        ),
    },
    Description {
        name: "json_length",
        syntax: "json_length(json, path, …)",
        answers: "How many elements an array has, or how many members an object has.",
        arguments: &[JSON, PATH],
        example: (
            "SELECT json_length('{\"items\":[1,2,3]}', 'items') AS n",
            "\
+---+
| n |
+---+
| 3 |
+---+",
        ),
    },
    Description {
        name: "json_object_keys",
        syntax: "json_object_keys(json, path, …)",
        answers: "The names of an object's members, as an array.",
        arguments: &[JSON, PATH],
        example: (
            "SELECT json_object_keys('{\"a\":1,\"b\":2}') AS names",
            "\
+--------+
| names  |
+--------+
| [a, b] |
+--------+",
        ),
    },
    Description {
        name: "json_from_scalar",
        syntax: "json_from_scalar(value)",
        answers: "A value as JSON of any type, as json_get gives it.",
        arguments: &[("value", "A number, a text, a boolean or NULL")],
        example: (
            "SELECT json_union_to_text(json_from_scalar('a')) AS json",
            "\
+------+
| json |
+------+
| \"a\"  |
+------+",
        ),
    },
    Description {
        name: "json_union_to_text",
        syntax: "json_union_to_text(value)",
        answers: "The JSON of what json_get gives, as text: strings with their quotes.",
        arguments: &[("value", "What json_get or -> gives")],
        example: (
            "SELECT json_union_to_text(json_get('{\"a\":\"b\"}', 'a')) AS json",
            "\
+------+
| json |
+------+
| \"b\"  |
+------+",
        ),
    },
];
