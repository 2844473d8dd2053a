//! Takes credentials out of text before it is shown, logged or stored.

/// `text` with the user part of every url replaced: `https://***@host/`, and the values of
/// `Authorization` headers.
pub fn redact(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        out.push_str(before);
        let end = after
            .find(|c: char| c.is_whitespace() || matches!(c, '/' | '\'' | '"' | '?' | '#' | '<' | '>'))
            .unwrap_or(after.len());
        let authority = &after[..end];
        match authority.rfind('@') {
            // The user of an ssh url is no secret; a password is.
            Some(user) if before.ends_with("ssh://") && !authority[..user].contains(':') => {
                out.push_str(authority);
            }
            Some(user) => {
                out.push_str("***");
                out.push_str(&authority[user..]);
            }
            None => out.push_str(authority),
        }
        rest = &after[end..];
    }
    out.push_str(rest);
    redact_headers(out)
}

fn redact_headers(text: String) -> String {
    if !text.to_ascii_lowercase().contains("authorization:") {
        return text;
    }
    text.split_inclusive('\n')
        .map(|line| match line.to_ascii_lowercase().find("authorization:") {
            Some(at) => {
                let end = if line.ends_with('\n') { "\n" } else { "" };
                format!("{}authorization: ***{end}", &line[..at])
            }
            None => line.to_owned(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::redact;

    #[test]
    fn credentials_leave_and_the_rest_stays() {
        assert_eq!(
            redact("fatal: 'https://u:p@h/x' and https://t@h/"),
            "fatal: 'https://***@h/x' and https://***@h/"
        );
        assert_eq!(redact("ssh://git@h/x"), "ssh://git@h/x");
        assert_eq!(redact("ssh://git:pw@h/x"), "ssh://***@h/x");
        assert_eq!(redact("a@b, no url"), "a@b, no url");
        assert_eq!(
            redact("=> Send header: Authorization: Basic abc\nx"),
            "=> Send header: authorization: ***\nx"
        );
    }
}
