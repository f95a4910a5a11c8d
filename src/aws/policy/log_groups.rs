//! A job's log groups as IAM names them. IAM's patterns have `*` and `?` only.

/// The most patterns that alternatives in braces are written out to. More become one pattern.
const MOST_ALTERNATIVES: usize = 40;

/// The ends of the ARNs of a log group or glob. The service compares a request with `NAME:*` or `NAME`, depending on the
/// action; a colon can't be in a name, so that neither is another group's.
pub(super) fn arn_names(glob: &str) -> Vec<String> {
    let mut patterns = alternatives(glob);
    if patterns.len() > MOST_ALTERNATIVES {
        let end = glob.find(['[', '{']).unwrap_or(glob.len());
        patterns = vec![format!("{}*", &glob[..end])];
    }
    let names = patterns.iter().map(|pattern| without_classes(pattern));
    names
        .flat_map(|name| match name.ends_with('*') {
            true => vec![name],
            false => vec![name.clone(), format!("{name}:*")],
        })
        .collect()
}

/// The glob with each choice of its alternatives in braces.
fn alternatives(glob: &str) -> Vec<String> {
    let Some((before, inside, behind)) = first_braces(glob) else {
        return vec![glob.to_owned()];
    };
    let mut found = Vec::new();
    for choice in inside {
        found.extend(alternatives(&format!("{before}{choice}{behind}")));
        if found.len() > MOST_ALTERNATIVES {
            break;
        }
    }
    found
}

/// What is before the first braces, the choices in them, and what is behind.
fn first_braces(glob: &str) -> Option<(&str, Vec<&str>, &str)> {
    let open = glob.find('{')?;
    let mut depth = 0;
    let mut choices = Vec::new();
    let mut begin = open + 1;
    for (at, byte) in glob.bytes().enumerate().skip(open) {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            b',' if depth == 1 => {
                choices.push(&glob[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
        if depth == 0 {
            choices.push(&glob[begin..at]);
            return Some((&glob[..open], choices, &glob[at + 1..]));
        }
    }
    None
}

/// The pattern with `?` in the place of classes such as `[a-z]`.
fn without_classes(pattern: &str) -> String {
    let mut name = String::with_capacity(pattern.len());
    let mut rest = pattern;
    while let Some(open) = rest.find('[') {
        name += &rest[..open];
        // A bracket at the beginning of a class is a member of it.
        let members = rest[open + 1..].trim_start_matches('!');
        let skipped = rest.len() - members.len();
        let end = members.char_indices().skip(1).find(|(_, c)| *c == ']');
        let Some((end, _)) = end else {
            return name + "*";
        };
        name.push('?');
        rest = &rest[skipped + end + 1..];
    }
    name + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_itself_and_a_glob_keeps_what_iam_can_say() {
        for (glob, expected) in [
            ("/aws/lambda/a", &["/aws/lambda/a", "/aws/lambda/a:*"][..]),
            ("/aws/lambda/a-*", &["/aws/lambda/a-*"]),
            ("/svc/?", &["/svc/?", "/svc/?:*"]),
            ("/svc/[ab]*", &["/svc/?*"]),
            ("/svc/[!]x]y", &["/svc/?y", "/svc/?y:*"]),
            ("/{a,b{1,2}}/x*", &["/a/x*", "/b1/x*", "/b2/x*"]),
        ] {
            assert_eq!(arn_names(glob), expected, "{glob}");
        }
    }

    #[test]
    fn many_alternatives_are_one_pattern() {
        let many = "/x/{0,1,2,3,4,5,6,7,8,9}{0,1,2,3,4,5,6,7,8,9}";
        assert_eq!(arn_names(many), ["/x/*"]);
    }
}
