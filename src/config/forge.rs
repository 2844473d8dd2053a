//! The software behind a git host, as far as the addresses of its pages depend on it.
//!
//! That of the well-known hosts is known; a `[[host]]` may name its own. What the addresses look like is
//! the business of who cites.

use super::{Config, Host};
use crate::error::{Error, Kind, Result};
use crate::key::GitUrl;

/// Software that shows repositories to people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forge {
    /// GitHub, also on a company's server.
    GitHub,
    /// GitLab.
    GitLab,
    /// Gitea and Forgejo.
    Gitea,
    /// Bitbucket Cloud. The pages of Bitbucket Data Center are others.
    Bitbucket,
    /// git.sr.ht.
    Sourcehut,
    /// cgit.
    Cgit,
}

impl Forge {
    /// All of them, by the names that the configuration has for them.
    pub const NAMES: [(&str, Forge); 7] = [
        ("github", Forge::GitHub),
        ("gitlab", Forge::GitLab),
        ("gitea", Forge::Gitea),
        ("forgejo", Forge::Gitea),
        ("bitbucket", Forge::Bitbucket),
        ("sourcehut", Forge::Sourcehut),
        ("cgit", Forge::Cgit),
    ];

    /// The forge of that name.
    pub fn parse(name: &str) -> Result<Forge> {
        let found = Forge::NAMES.into_iter().find(|(own, _)| *own == name);
        found.map(|(_, forge)| forge).ok_or_else(|| {
            let names: Vec<&str> = Forge::NAMES.into_iter().map(|(name, _)| name).collect();
            Error::new(Kind::Invalid, format!("read the forge {name:?}"), "it is none that is known")
                .hint(format!("write one of {}, or leave it out", names.join(", ")))
        })
    }
}

impl Config {
    /// The forge on the host of `url`; `None` if it is not known.
    pub fn forge_of(&self, url: &GitUrl) -> Option<Forge> {
        let address = url.host()?;
        let own = |host: &Host| host.forge.filter(|_| host.address().as_deref() == Some(address));
        // Nobody calls another forge so.
        self.hosts.iter().find_map(own).or_else(|| address.starts_with("gitlab.").then_some(Forge::GitLab))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forge_of(config: &Config, url: &str) -> Option<Forge> {
        config.forge_of(&GitUrl::parse(url).unwrap())
    }

    #[test]
    fn the_forge_of_a_host_is_known_or_configured_whatever_the_transport() {
        let config = Config::parse(
            r#"
            [[host]]
            name = "code"
            url = "ssh://git@code.example.org:2222/{path}.git"
            forge = "forgejo"

            [[host]]
            name = "github.com"
            url = "https://mirror.example.org/{path}.git"
            "#,
        )
        .unwrap();
        assert_eq!(forge_of(&config, "https://code.example.org/a/b"), Some(Forge::Gitea));
        assert_eq!(forge_of(&config, "git@gitlab.com:a/b.git"), Some(Forge::GitLab));
        assert_eq!(forge_of(&config, "https://gitlab.example.org/a/b"), Some(Forge::GitLab));
        // It stands for something else now, of which nothing is known.
        assert_eq!(forge_of(&config, "https://mirror.example.org/a/b"), None);
        assert_eq!(forge_of(&Config::default(), "https://github.com/a/b"), Some(Forge::GitHub));
        assert_eq!(forge_of(&Config::default(), "file:///srv/git/a"), None);
    }

    #[test]
    fn a_forge_that_is_not_known_is_refused_with_those_that_are() {
        let text = "[[host]]\nname = \"x\"\nurl = \"https://x.example.org/{path}\"\nforge = \"gogs\"\n";
        let problems = Config::parse(text).unwrap_err();
        let [problem] = problems.as_slice() else { panic!("{problems:?}") };
        let text = problem.to_string();
        assert!(problem.line == 4 && text.contains("gogs") && text.contains("sourcehut"), "{text}");
    }
}
