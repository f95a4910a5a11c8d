//! The parts of the ARNs that a job names: which of them can be of an account, a Region and a partition at all. A wrong one would
//! be refused by AWS in the night.

/// Whether a text is the id of an account.
fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether a text has the form of a Region, `eu-west-1` or `us-gov-east-1`: AWS opens Regions more often than this program is
/// built.
fn is_region(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let is_of = |part: &str, is_right: fn(&u8) -> bool, most: usize| {
        (1..=most).contains(&part.len()) && part.bytes().all(|byte| is_right(&byte))
    };
    match &parts[..] {
        [first, between @ .., number] if !between.is_empty() => {
            (2..=4).contains(&first.len())
                && is_of(first, u8::is_ascii_lowercase, 4)
                && between
                    .iter()
                    .all(|part| is_of(part, u8::is_ascii_lowercase, 12))
                && is_of(number, u8::is_ascii_digit, 2)
        }
        _ => false,
    }
}

/// The partitions, and how the names of their Regions begin.
const PARTITIONS: [(&str, &str); 7] = [
    ("aws-cn", "cn-"),
    ("aws-us-gov", "us-gov-"),
    ("aws-iso", "us-iso-"),
    ("aws-iso-b", "us-isob-"),
    ("aws-iso-e", "eu-isoe-"),
    ("aws-iso-f", "us-isof-"),
    ("aws-eusc", "eusc-"),
];

/// The partition of most Regions.
const PUBLIC: &str = "aws";

fn partition_of(region: &str) -> &'static str {
    let mut others = PARTITIONS.iter();
    let other = others.find(|(_, beginning)| region.starts_with(beginning));
    other.map_or(PUBLIC, |(partition, _)| partition)
}

fn is_partition(text: &str) -> bool {
    text == PUBLIC || PARTITIONS.iter().any(|(partition, _)| *partition == text)
}

/// What can't be of an ARN with these parts, with what is expected.
///
/// # Errors
/// In words that go on after "… is not the ARN of a log group: ".
pub fn ensure_regional(partition: &str, region: &str, account: &str) -> Result<(), String> {
    if !is_region(region) {
        return Err(format!(
            "its Region is {region:?}, expected one such as \"eu-west-1\""
        ));
    }
    let expected = partition_of(region);
    if partition != expected {
        return Err(format!(
            "its partition is {partition:?}, expected {expected:?}, which {region} is in"
        ));
    }
    match is_account(account) {
        true => Ok(()),
        false => Err(format!("its account is {account:?}, expected 12 digits")),
    }
}

/// Checks the ARN of a role.
///
/// # Errors
/// What is wrong with it, in words.
pub fn ensure_role(arn: &str) -> Result<(), String> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let wrong = |what: &str| {
        Err(format!(
            "{arn:?} is not the ARN of a role: {what}, as in \"arn:aws:iam::123456789012:role/logs\""
        ))
    };
    let [first, partition, service, region, account, resource] = parts[..] else {
        return wrong("expected arn:aws:iam::<account>:role/<name>");
    };
    let name = resource.strip_prefix("role/").unwrap_or_default();
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"+=,.@_-/".contains(&byte);
    if first != "arn" || service != "iam" || !region.is_empty() {
        return wrong("expected arn:aws:iam::<account>:role/<name>");
    }
    if !is_partition(partition) {
        return wrong(&format!(
            "its partition is {partition:?}, expected one such as \"aws\""
        ));
    }
    if !is_account(account) {
        return wrong(&format!("its account is {account:?}, expected 12 digits"));
    }
    if name.is_empty() || name.ends_with('/') || !name.bytes().all(is_name) {
        return wrong(&format!("it names {resource:?}, expected role/<name>"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_that_no_arn_has_are_named() {
        for (partition, region, account, expected) in [
            ("aws", "eu-west-1", "123456789012", None),
            ("aws", "ap-southeast-7", "123456789012", None),
            ("aws-us-gov", "us-gov-west-1", "123456789012", None),
            ("aws-cn", "cn-north-1", "123456789012", None),
            ("aws-eusc", "eusc-de-east-1", "123456789012", None),
            ("aws", "eu-west-1", "12345678901", Some("account")),
            ("aws", "eu-west-1", "12345678901a", Some("account")),
            ("aws", "eu-west", "123456789012", Some("Region")),
            ("aws", "EU-WEST-1", "123456789012", Some("Region")),
            ("aws", "eu-west-1a", "123456789012", Some("Region")),
            ("aws", "eu-west-", "123456789012", Some("Region")),
            ("aws", "cn-north-1", "123456789012", Some("aws-cn")),
            ("aws-cn", "eu-west-1", "123456789012", Some("partition")),
            ("amazon", "eu-west-1", "123456789012", Some("partition")),
        ] {
            let wrong = ensure_regional(partition, region, account).err();
            assert_eq!(wrong.is_some(), expected.is_some(), "{region}: {wrong:?}");
            let (wrong, expected) = (wrong.unwrap_or_default(), expected.unwrap_or_default());
            assert!(wrong.contains(expected), "{wrong}");
        }
    }

    #[test]
    fn a_role_is_one_of_iam() {
        for arn in [
            "arn:aws:iam::123456789012:role/logs",
            "arn:aws-cn:iam::123456789012:role/service-role/logs+x",
        ] {
            assert_eq!(ensure_role(arn), Ok(()));
        }
        for (arn, expected) in [
            ("logs", "expected arn:aws:iam::<account>:role/<name>"),
            (
                "arn:aws:sts::123456789012:assumed-role/logs/x",
                "expected arn:aws:iam",
            ),
            (
                "arn:aws:iam:eu-west-1:123456789012:role/logs",
                "expected arn:aws:iam",
            ),
            ("arn:aws:iam::12345678901:role/logs", "12 digits"),
            (
                "arn:aw:iam::123456789012:role/logs",
                "its partition is \"aw\"",
            ),
            (
                "arn:aws:iam::123456789012:user/logs",
                "it names \"user/logs\"",
            ),
            ("arn:aws:iam::123456789012:role/", "expected role/<name>"),
        ] {
            let wrong = ensure_role(arn).unwrap_err();
            assert!(wrong.contains(expected), "{wrong}");
        }
    }
}
