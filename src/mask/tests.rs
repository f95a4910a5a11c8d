use proptest::prelude::*;

use super::*;

#[test]
fn what_has_a_form_is_replaced() {
    for (text, expected) in [
        // Korean numbers: mobile, of an area, of the internet, with the code of the country
        ("call 010-1234-5678 now", "call <phone> now"),
        ("010-1234-5678", "<phone>"),
        ("tel:01012345678,", "tel:<phone>,"),
        ("010 1234 5678 / 010.1234.5678", "<phone> / <phone>"),
        (
            "고객 전화번호 010-1234-5678입니다",
            "고객 전화번호 <phone>입니다",
        ),
        ("011-123-4567 0171234567", "<phone> <phone>"),
        (
            "02-123-4567, 031-1234-5678, 070-1234-5678",
            "<phone>, <phone>, <phone>",
        ),
        (
            "0505-123-4567 (02) 123-4567 02)123-4567",
            "<phone> <phone> 02)123-4567",
        ),
        (
            "+82-10-1234-5678 +82 10 1234 5678 +821012345678",
            "<phone> <phone> <phone>",
        ),
        ("82-10-1234-5678", "<phone>"),
        // of other countries
        ("+1 (415) 555-2671 and +14155552671", "<phone> and <phone>"),
        ("(415) 555-2671 415-555-2671", "<phone> <phone>"),
        ("+44 20 7946 0958; +81-3-1234-5678", "<phone>; <phone>"),
        (
            r#"{"phone":"01012345678","n":1}"#,
            r#"{"phone":"<phone>","n":1}"#,
        ),
        ("/users/01012345678/orders", "/users/<phone>/orders"),
        // addresses
        (
            "mail to kim.lee+shop@mail.example.co.kr.",
            "mail to <email>.",
        ),
        ("user=kim@example.com&x=1", "user=<email>&x=1"),
        ("?mail=kim%40example.com", "?mail=<email>"),
        ("<kim@example.com>", "<<email>>"),
        // cards, by network
        ("card 4111-1111-1111-1111 ok", "card <card> ok"),
        ("card 4111 1111 1111 1111 ok", "card <card> ok"),
        (
            "5555555555554444 378282246310005 3782-822463-10005",
            "<card> <card> <card>",
        ),
        (
            "3530111333300000 6011111111111117 30569309025904",
            "<card> <card> <card>",
        ),
        (
            r#"{"card":4111111111111111,"n":1}"#,
            r#"{"card":"<card>","n":1}"#,
        ),
        (
            r#"{"log":"{\"card\":4111111111111111}"}"#,
            r#"{"log":"{\"card\":\"<card>\"}"}"#,
        ),
        // numbers of residents: with a check digit, of a birth since October 2020, by name
        ("rrn 900101-1234568", "rrn <resident_number>"),
        ("9001011234568", "<resident_number>"),
        ("201001-3123456", "<resident_number>"),
        ("주민번호: 900101-1234567", "주민번호: <resident_number>"),
        // tokens
        ("Bearer abcdef123456", "Bearer <token>"),
        (
            "authorization: Bearer abc.def-123_456~x",
            "authorization: Bearer <token>",
        ),
        (
            r#""Authorization":"Basic a2ltOnNlY3JldA==""#,
            r#""Authorization":"Basic <token>""#,
        ),
        ("Authorization: a2ltOnNlY3JldA==", "Authorization: <token>"),
        ("basic a2ltOnNlY3JldA== sent", "basic <token> sent"),
        (
            "jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.SflKxwRJ_adQ-ssw5c!",
            "jwt <token>!",
        ),
        (
            "https://kim:pa55@example.com/a",
            "https://<secret>@example.com/a",
        ),
        (
            "postgres://shop:s3cret@db:5432/shop",
            "postgres://<secret>@db:5432/shop",
        ),
        // AWS
        ("key AKIAIOSFODNN7EXAMPLE used", "key <aws_key> used"),
        ("ASIAIOSFODNN7EXAMPLE", "<aws_key>"),
        (
            "aws_secret_access_key=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            "aws_secret_access_key=<secret>",
        ),
        (
            r#"{"SecretAccessKey": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}"#,
            r#"{"SecretAccessKey": "<secret>"}"#,
        ),
        (
            "?X-Amz-Signature=5e34a614&a=1",
            "?X-Amz-Signature=<secret>&a=1",
        ),
        (
            "?X-Amz-Security-Token=IQoJb3JpZ2luX2VjE&a=1",
            "?X-Amz-Security-Token=<secret>&a=1",
        ),
        // keys
        ("password=hunter2 user=kim", "password=<secret> user=kim"),
        ("Password: hunter2", "Password: <secret>"),
        (
            r#"{"password":"two words","n":1}"#,
            r#"{"password":"<secret>","n":1}"#,
        ),
        (
            r#"{"password":12345,"n":1}"#,
            r#"{"password":"<secret>","n":1}"#,
        ),
        (
            r#"{"log":"{\"db_password\": \"x y\"}"}"#,
            r#"{"log":"{\"db_password\": \"<secret>\"}"}"#,
        ),
        (
            "{'api_key': 'abc', 'n': 1}",
            "{'api_key': '<secret>', 'n': 1}",
        ),
        ("x-api-key: 5e34a614", "x-api-key: <secret>"),
        (
            "client_secret=abc&grant=x",
            "client_secret=<secret>&grant=x",
        ),
        ("access_token=abcd12345", "access_token=<secret>"),
    ] {
        assert_eq!(masked(text), expected, "{text}");
        assert_eq!(masked(expected), expected, "{expected}");
    }
}

#[test]
fn what_only_looks_alike_stays() {
    for text in [
        "",
        // ids, orders, times
        "8476a536-e9f4-11e8-9739-2dfe598c3fcd",
        "84760101-0101-1234-5678-010123456789",
        "1-5e34a614-10bd7a3f2c2b4d5e6f708192",
        "order 20240213-0001234 and 240213-1234568",
        "order 1012345678 of 123456789012",
        "1755966193949 1701010123456 1795219200 1755966193949000 1755966193949000000",
        "2024-02-13T21:01:04.792+09:00 2024-02-13 21:01:04 +0900 12345678",
        "2013-06-20 17:26:10,691",
        "20240213 21:01:04.792",
        "0.4539148803436467 seconds",
        "dd.trace_id=4111111111111112",
        "4111-1111-1111-1112",
        "1111222233334444",
        "10.112.72.172 - - 200 5778",
        "arn:aws:iam::111122223333:role/x",
        "010-1234-56789 a010-1234-5678 x-010-1234-5678",
        "1 234 5678",
        // words
        "Basic authentication failed, Bearer authentication failed",
        "Bearer token is missing",
        "password: must have eight letters",
        "password= and password: null, secret=***, token=<none>",
        r#"{"password":null,"token":"","apikey":"[hidden]"}"#,
        "Unexpected token: } in JSON",
        "authorization: required",
        "max_tokens=4096 tokens: 12345678 keyboard=querty123",
        "secretary=kim",
        // signs
        "git@github:org user@host @param lmn@lmn_db icon@2x.png pkg@1.2.3",
        "https://example.com:8080/a@b.c/d?x=y@z",
        "AKIA AKIAIOSFODNN7EXAMPLEX akiaiosfodnn7example",
        "a + 1234567890123456 b+12345678901",
        "f(02) x",
    ] {
        assert_eq!(masked(text), text);
    }
}

#[test]
fn lines_of_public_loggers_stay_as_they_are() {
    let lines = include_str!("../../tests/messages/lines.ndjson");
    let changed: Vec<String> = lines
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["message"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .filter(|message| masked(message) != *message)
        .collect();
    assert!(
        changed.is_empty(),
        "{}",
        changed
            .iter()
            .map(|line| format!("{line}\n  {}\n", masked(line)))
            .collect::<String>()
    );
}

/// The twelve digits with their check digit.
fn with_check(digits: &str) -> String {
    let weights = [2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5];
    let sum: u32 = digits
        .bytes()
        .zip(weights)
        .map(|(digit, weight)| u32::from(digit - b'0') * weight)
        .sum();
    format!("{digits}{}", (11 - sum % 11) % 10)
}

fn with_luhn(digits: &str) -> String {
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(place, digit)| u32::from(digit - b'0') * if place % 2 == 0 { 2 } else { 1 })
        .map(|value| value / 10 + value % 10)
        .sum();
    format!("{digits}{}", (10 - sum % 10) % 10)
}

fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        "[0-9]{1,16}",
        "[-+(). :=@%\"'\\\\/,&{}<>]{1,3}",
        "[a-zA-Z_]{1,8}",
        proptest::sample::select(vec![
            "password",
            "token",
            "Authorization",
            "Bearer ",
            "Basic ",
            "010-1234-5678",
            "kim@example.com",
            "eyJ",
            "AKIA",
            "%40",
            "4111111111111111",
            "900101-1234568",
            "://",
            "<phone>",
            "<secret>",
            "주문",
            " ",
        ])
        .prop_map(str::to_owned),
        any::<String>(),
    ]
}

#[test]
fn what_a_mark_leaves_alone_is_masked_too() {
    for (text, expected) in [
        ("010-1234-5678+1000000000<", "<phone><phone><"),
        ("010-1234-5678-AKIAIOSFODNN7EXAMPLE", "<phone>-<aws_key>"),
        ("010-1234-5678010-1234-5678", "010-1234-5678010-1234-5678"),
    ] {
        assert_eq!(masked(text), expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_masked_text_has_nothing_left_to_mask(pieces in proptest::collection::vec(piece(), 0..20)) {
        let text = pieces.concat();
        let once = masked(&text).into_owned();
        prop_assert_eq!(masked(&once), once.as_str(), "of {:?}", text);
    }

    #[test]
    fn every_mobile_number_and_resident_and_card_is_found(
        middle in 0..10_000u32, last in 0..10_000u32, year in 0..100u32, month in 1..=12u32, day in 1..=31u32,
        sex in 1..=4u32, serial in 0..100_000u32, card in 0..100_000_000_000_000u64,
        before in "[가-힣 =]{0,3}", behind in "[가-힣 ,;]{0,3}",
    ) {
        let phone = format!("{before}010-{middle:04}-{last:04}{behind}");
        prop_assert_eq!(masked(&phone), format!("{before}<phone>{behind}"));
        let number = with_check(&format!("{year:02}{month:02}{day:02}{sex}{serial:05}"));
        let resident = format!("{before}{}-{}{behind}", &number[..6], &number[6..]);
        prop_assert_eq!(masked(&resident), format!("{before}<resident_number>{behind}"));
        let card = with_luhn(&format!("4{card:014}"));
        let groups = format!("{before}{}-{}-{}-{}{behind}", &card[..4], &card[4..8], &card[8..12], &card[12..]);
        prop_assert_eq!(masked(&groups), format!("{before}<card>{behind}"));
    }
}

#[test]
fn the_time_is_linear_in_the_length() {
    for piece in [
        "@",
        "a@",
        "a.",
        "password=\"",
        "password=",
        "pwd=$",
        "pwd=\"\"",
        "authorization: a ",
        "1",
        "1-",
        "+1",
        "(02)",
        "://a",
        "eyJ.",
        "\\",
        "Bearer ",
        "%40",
        "token:",
    ] {
        let text = piece.repeat((1 << 18) / piece.len());
        assert!(!masked(&text).is_empty(), "{piece}");
    }
}
