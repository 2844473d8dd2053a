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

/// The same for what is meant as a url, however it is written: whatever may be a credential in it, and a
/// query, are taken out.
pub fn redact_url(text: &str) -> String {
    let (bare, rest) = text.split_at(text.find(['?', '#']).unwrap_or(text.len()));
    let query = if rest.is_empty() { "" } else { "?***" };
    let shown = match url::Url::parse(bare) {
        Ok(mut url) if url.has_host() => {
            let secret = url.password().is_some() || (url.scheme() != "ssh" && !url.username().is_empty());
            if secret && url.set_password(None).is_ok() && url.set_username("***").is_ok() {
                url.to_string()
            } else {
                bare.to_owned()
            }
        }
        _ => match bare.split_once('@') {
            // As ssh writes it, user@host:path.
            Some((user, after)) if !user.contains([':', '/', '\\']) && after.contains(':') => bare.to_owned(),
            Some(_) => format!("***{}", &bare[bare.rfind('@').unwrap_or_default()..]),
            None => bare.to_owned(),
        },
    };
    redact(&shown) + query
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
    use super::{redact, redact_url};

    #[test]
    fn no_spelling_of_a_url_shows_its_credential() {
        for text in [
            "https://user:hunter2@h/x",
            "https://hunter2@h/x",
            "https:user:hunter2@h/x",
            "https:/user:hunter2@h/x",
            "https:////user:hunter2@h/x",
            "https:\\\\user:hunter2@h\\x",
            "https://us\ner:hunter2@h/x",
            "https://a@b:hunter2@h/x",
            "ssh://git:hunter2@h/x",
            "git+https://user:hunter2@h/x",
            "user:hunter2@h:x",
            "user:hunter2@h",
            "hunter2@h/x",
            "https://h/x?token=hunter2",
            "https://h/x#hunter2",
            "https://[x/user:hunter2@h",
        ] {
            let shown = redact_url(text);
            assert!(!shown.contains("hunter2") && shown.contains('h'), "{text}: {shown}");
        }
        for text in ["https://h:8443/x", "ssh://git@h/x", "git@h:x/y.git", "https://h/@a/b", "x", ""] {
            assert_eq!(redact_url(text), text);
        }
    }

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
