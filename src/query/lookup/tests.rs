use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use arrow::util::pretty::pretty_format_batches;

use super::*;
use crate::error::Class;
use crate::query::errors::type_name;

fn text(name: &str, content: &str) -> LookupText {
    let (format, is_gzip) = TextFormat::of_name(name).unwrap();
    LookupText::new(name, format, is_gzip, content.as_bytes()).unwrap()
}

fn batch(texts: &[LookupText], types: &BTreeMap<String, String>) -> Result<RecordBatch> {
    match texts[0].format {
        TextFormat::Ndjson => ndjson::batch(texts, types),
        _ => csv::batch(texts, types),
    }
}

fn types(batch: &RecordBatch) -> Vec<String> {
    let schema = batch.schema();
    let fields = schema.fields().iter();
    fields
        .map(|field| format!("{} {}", field.name(), type_name(field.data_type())))
        .collect()
}

#[test]
fn a_column_has_the_type_of_all_its_values() {
    let customers = text(
        "customers.csv",
        "\u{feff}id,code,name,since,seen,rate,active,empty,mixed\n\
         1,007,\"Kim, \"\"A\"\"\",2024-01-31,2024-01-31T10:00:00+09:00,0.5,true,,1\n\
         -2,12,,2024-02-01,2024-01-31T10:00:00Z,1e3,false,,x\n",
    );
    let batch = batch(&[customers], &BTreeMap::new()).unwrap();
    assert_eq!(
        types(&batch),
        [
            "id bigint",
            "code text",
            "name text",
            "since date",
            "seen timestamp with time zone",
            "rate double precision",
            "active boolean",
            "empty text",
            "mixed text",
        ]
    );
    let shown = pretty_format_batches(&[batch]).unwrap().to_string();
    assert!(
        shown.contains("Kim, \"A\"") && shown.contains("2024-01-31T01:00:00Z"),
        "{shown}"
    );
}

#[test]
fn types_can_be_set() {
    let prices = text("prices.tsv", "id\tprice\n1\t2\n3\t4.5\n");
    let set = |of_type: &str| BTreeMap::from([("id".to_owned(), of_type.to_owned())]);
    let found = batch(std::slice::from_ref(&prices), &set("text")).unwrap();
    assert_eq!(types(&found), ["id text", "price double precision"]);
    for (of_type, expected) in [
        (
            "date",
            "\"1\" in the column \"id\" of prices.tsv is no date",
        ),
        ("number", "expected text, bigint"),
    ] {
        let error = batch(std::slice::from_ref(&prices), &set(of_type)).unwrap_err();
        assert_eq!(error.class(), Class::Usage);
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn lines_of_json_are_rows() {
    let lines = text(
        "endpoints.ndjson",
        "{\"path\": \"/a\", \"team\": {\"name\": \"x\"}, \"n\": 1}\n\n{\"path\": 5, \"n\": 2.5, \"none\": null}\n",
    );
    let batch = batch(&[lines], &BTreeMap::new()).unwrap();
    assert_eq!(
        types(&batch),
        [
            "n double precision",
            "none text",
            "path text",
            "team record"
        ]
    );
    assert_eq!(batch.num_rows(), 2);
}

#[test]
fn what_can_not_be_read_is_named_with_its_line() {
    for (name, content, expected) in [
        (
            "a.csv",
            "x,y\n1,2\n3\n",
            "a.csv:3: incorrect number of fields",
        ),
        (
            "a.csv",
            "x,x\n1,2\n",
            "a.csv:1: two columns are named \"x\"",
        ),
        ("a.csv", "x,\n1,2\n", "a.csv:1: a column has no name"),
        ("a.csv", "", "a.csv is empty"),
        ("a.ndjson", "{\"x\": 1}\n{\"x\": \n", "a.ndjson:2: no JSON"),
        ("a.jsonl", "[1]\n", "a.jsonl:1: [1]: expected an object"),
    ] {
        let error = batch(&[text(name, content)], &BTreeMap::new()).unwrap_err();
        assert_eq!(error.class(), Class::Damaged);
        assert!(error.to_string().contains(expected), "{error}");
    }
    let one = text("a.csv", "x,y\n1,2\n");
    let other = text("b.csv", "x,z\n1,2\n");
    let error = batch(&[one, other], &BTreeMap::new()).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("b.csv:1: the columns are (x, z)"),
        "{error}"
    );
}
