use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field};

use super::*;
use crate::aws::{Account, Aws};
use crate::job::{AwsSettings, Location};
use crate::store::{Body, Condition, Stores};
use crate::window::Window;

fn by_value(columns: &[&str]) -> Division {
    let columns = columns.iter().map(|name| Name::new(name).unwrap());
    Division::ByValue(columns.collect())
}

fn keys() -> Keys {
    Keys::new(&Location::parse("s3://acme/x", "/".as_ref()).unwrap(), "j").unwrap()
}

fn day() -> Window {
    Window::parse(Size::Day, chrono_tz::UTC, "2026-11-21").unwrap()
}

fn spooled(name: &str, rows: u64) -> Spooled {
    Spooled {
        path: name.into(),
        rows,
        bytes: 1,
    }
}

/// Each object as a text: its key below the folder of the window, and its content.
fn shown(objects: &[AnswerObject<'_>]) -> Vec<String> {
    let objects = objects.iter().map(|object| {
        let key = object.key.as_ref().rsplit("dt=2026-11-21/").next().unwrap();
        match &object.content {
            ObjectContent::File(file) | ObjectContent::LeftOver(file) => {
                format!("{key} = {}", file.path.display())
            }
            ObjectContent::Put(_) => format!("{key} is put"),
            ObjectContent::PartsList(text) => format!("{key} lists {}", text.lines().count()),
        }
    });
    objects.collect()
}

#[test]
fn each_division_has_its_keys() {
    let (keys, day) = (keys(), day());
    let answer = keys.of_answer("q", &day);
    for (division, fixed, by_rows) in [
        (Division::Whole, Some("x/j/q/dt=2026-11-21/q.parquet"), None),
        (
            by_value(&["a", "b"]),
            None,
            Some((
                "x/j/q/dt=2026-11-21",
                "x/j/q/dt=2026-11-21/a=*/b=*/q.parquet",
            )),
        ),
        (
            Division::BySize(1 << 20),
            Some("x/j/q/dt=2026-11-21/q.txt"),
            Some((
                "x/j/parts/q/dt=2026-11-21",
                "x/j/parts/q/dt=2026-11-21/q-*.parquet",
            )),
        ),
    ] {
        let found = division.fixed_key(answer);
        assert_eq!(found.as_ref().map(AsRef::as_ref), fixed, "{division:?}");
        let found = division.keys_by_rows(answer);
        let found = found
            .as_ref()
            .map(|keys| (keys.folder.as_ref(), keys.pattern.as_ref()));
        assert_eq!(found, by_rows, "{division:?}");
    }
}

#[test]
fn parts_are_put_before_the_list_that_names_them() {
    let (keys, day) = (keys(), day());
    let divided = Divided::BySize {
        parts: vec![spooled("first", 2), spooled("second", 1)],
        generation: 0xab,
    };
    let objects = divided.objects(keys.of_answer("q", &day), std::iter::empty());
    assert_eq!(
        shown(&objects),
        [
            "q-00000000000000ab-00000.parquet = first",
            "q-00000000000000ab-00001.parquet = second",
            "q.txt lists 2"
        ]
    );
    let ObjectContent::PartsList(list) = &objects[2].content else {
        panic!("{objects:?}")
    };
    let listed = keys.read_parts_list("q", &objects[2].key, list);
    let put: Vec<&Path> = objects[..2].iter().map(|object| &object.key).collect();
    assert_eq!(listed.iter().collect::<Vec<_>>(), put);
}

#[test]
fn parts_that_are_put_already_are_listed_in_the_order_of_the_rows() {
    let (keys, day) = (keys(), day());
    let answer = keys.of_answer("q", &day);
    let part = |number| PutPart {
        written: Written {
            key: answer.part(0xab, number),
            etag: None,
            bytes: 1,
        },
        rows: 1,
    };
    let divided = Divided::Put(vec![part(1), part(1_000_000)]);
    let objects = divided.objects(answer, std::iter::empty());
    assert_eq!(
        shown(&objects),
        [
            "q-00000000000000ab-00001.parquet is put",
            "q-00000000000000ab-1000000.parquet is put",
            "q.txt lists 2"
        ]
    );
    assert!(divided.in_order().is_empty());
}

#[test]
fn values_that_only_the_earlier_answer_had_are_emptied() {
    let (keys, day) = (keys(), day());
    let answer = keys.of_answer("q", &day);
    let divided = Divided::ByValue {
        whole: spooled("whole", 3),
        partitioned: Partitioned {
            columns: vec!["a".into()],
            files: BTreeMap::from([
                (vec![None], spooled("null", 1)),
                (vec![Some("x/y".into())], spooled("xy", 2)),
            ]),
            empty: spooled("empty", 0),
        },
    };
    let there = [
        answer.file_of([("a", Some("x/y"))]),
        answer.file_of([("a", Some("gone"))]),
        // These stay: an answer in one file, one by two columns, a file of another program.
        answer.file(),
        answer.file_of([("a", Some("x")), ("b", Some("y"))]),
        layout::join(&answer.folder(), "a=x/README"),
    ];
    assert_eq!(
        shown(&divided.objects(answer, there.iter())),
        [
            "a=__HIVE_DEFAULT_PARTITION__/q.parquet = null",
            "a=x%2Fy/q.parquet = xy",
            "a=gone/q.parquet = empty"
        ]
    );
    let in_order: Vec<_> = divided.in_order().iter().map(|file| file.rows).collect();
    assert_eq!(in_order, [3]);
}

#[test]
fn a_whole_answer_is_one_object() {
    let (keys, day) = (keys(), day());
    let divided = Divided::Whole(spooled("all", 3));
    let answer = keys.of_answer("q", &day);
    let there = [answer.file_of([("a", Some("x"))])];
    assert_eq!(
        shown(&divided.objects(answer, there.iter())),
        ["q.parquet = all"]
    );
}

#[test]
fn only_parts_that_are_not_in_use_are_deleted() {
    let (keys, day) = (keys(), day());
    let answer = keys.of_answer("q", &day);
    let there = [
        answer.part(1, 0),
        answer.part(2, 0),
        answer.part(2, 1),
        answer.parts_list(),
        layout::join(&answer.parts_folder(), "README"),
    ];
    let in_use = |key: &Path| *key == there[0];
    let outdated = Division::BySize(1).outdated(answer, there.iter(), in_use);
    assert_eq!(outdated, [&there[1], &there[2]]);
    let files = [answer.file(), answer.file_of([("a", Some("x"))])];
    for division in [Division::Whole, by_value(&["a"])] {
        let there = there.iter().chain(&files);
        assert_eq!(
            division.outdated(answer, there, |_| false),
            [] as [&Path; 0]
        );
    }
}

#[test]
fn only_a_division_by_value_checks_the_columns() {
    let schema = Schema::new(vec![
        Field::new("a", DataType::Utf8, true),
        Field::new("n", DataType::Int64, true),
    ]);
    for division in [Division::Whole, Division::BySize(1), by_value(&["a"])] {
        division.check(&schema).unwrap();
    }
    let error = by_value(&["n"]).check(&schema).unwrap_err().to_string();
    assert!(error.contains("\"n\""), "{error}");
}

#[tokio::test]
async fn the_generation_of_parts_is_that_of_their_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let bytes = bytes.len() as u64;
        Spooled {
            path,
            rows: 1,
            bytes,
        }
    };
    let (one, other) = (file("1", "rows"), file("2", "others"));
    let found = generation(&[one.clone(), other.clone()]).await.unwrap();
    // The first eight bytes of the SHA-256 of "rowsothers".
    assert_eq!(found, 0x8f04_000f_4997_7ffa);
    assert_ne!(generation(&[other, one]).await.unwrap(), found);
}

#[tokio::test]
async fn the_newest_answer_says_how_it_is_divided() {
    let folder = tempfile::tempdir().unwrap();
    let location = Location::Local(folder.path().to_owned());
    let stores = Stores::new(Arc::new(Aws::new(AwsSettings::default()))).unwrap();
    let store = stores.open(&location, Account::Output).await.unwrap();
    let keys = Keys::new(&location, "j").unwrap();
    let put = async |key: &Path, text: String| {
        let body = Body::Bytes(text.into());
        let put = store.put_if(key, body, "text/plain", &Condition::Absent);
        put.await.unwrap();
    };
    let newest = async || NewestAnswer::find(&store, &keys, "q").await.unwrap();
    assert_eq!(newest().await, None);

    let windows = ["2026-11-20", "2026-11-21", "2026-11-22"]
        .map(|id| Window::parse(Size::Day, chrono_tz::UTC, id).unwrap());
    let [whole, by_value, by_size] = windows.each_ref().map(|window| keys.of_answer("q", window));
    put(&whole.file(), String::new()).await;
    let found = newest().await.unwrap();
    assert_eq!((&found.key, &found.file), (&whole.file(), &whole.file()));
    assert_eq!(found.divided_by(Size::Day), Some(DividedBy::Nothing));
    assert_eq!(found.divided_by(Size::Hour), None);

    let file = by_value.file_of([("a", Some("x"))]);
    put(&file, String::new()).await;
    let found = newest().await.unwrap();
    assert_eq!(found.file, file);
    let of_a = DividedBy::Values(vec!["a".into()]);
    assert_eq!(found.divided_by(Size::Day), Some(of_a.clone()));
    assert_eq!(of_a.to_string(), "divided by (a)");

    let list = by_size.parts_list();
    put(&list, by_size.write_parts_list(&[by_size.part(7, 0)])).await;
    let found = newest().await.unwrap();
    assert_eq!((&found.key, &found.file), (&list, &by_size.part(7, 0)));
    let of_size = DividedBy::from(&Division::BySize(1 << 20));
    assert_eq!(found.divided_by(Size::Day), Some(of_size));
    let listed = Division::BySize(1).listed_parts(&store, by_size).await;
    assert_eq!(listed.unwrap(), [by_size.part(7, 0)]);
    let listed = Division::Whole.listed_parts(&store, by_size).await;
    assert_eq!(listed.unwrap(), []);
}
