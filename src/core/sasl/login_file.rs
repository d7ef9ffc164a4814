use std::collections::BTreeMap;
use std::iter::Peekable;
use std::str::CharIndices;

use thiserror::Error;

use super::{Credentials, Users};

/// The file of Java's that says how to log in (JAAS, `java.security.auth.login.config`), in sections:
///
/// ```text
/// QuorumServer {
///     org.apache.zookeeper.server.auth.DigestLoginModule required
///     user_zk="secret";
/// };
/// ```
///
/// Text in quotes may have the escapes of Java, comments are those of Java, and `${name}` in an option is what the
/// property of that name says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoginFile {
    sections: BTreeMap<String, Vec<Module>>,
}

/// One way to log in.
#[derive(Clone, PartialEq, Eq)]
struct Module {
    class: String,
    options: BTreeMap<String, String>,
}

/// Why a text is no log-in file.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("line {line}: {problem}")]
pub struct SyntaxError {
    /// Where, from 1 on.
    pub line: usize,
    problem: String,
}

/// Why a section is of no use to this server. The texts are for the operator.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[allow(missing_docs, reason = "the text of each says what it is")]
pub enum LoginError {
    #[error(
        "SASL-authentication failed because the specified JAAS configuration section '{section}' could not be found."
    )]
    NoSection { section: String },
    #[error(
        "section {section} uses {class}: this server has no Kerberos and no other way to log in than \
         {DIGEST_MODULE}, with names and passwords"
    )]
    Module { section: String, class: String },
    #[error("section {section} has no {option}=: add it to {DIGEST_MODULE}'s options")]
    NoOption { section: String, option: &'static str },
}

impl LoginFile {
    /// Reads a file. `property` has the values of properties by name.
    pub fn parse(text: &str, property: impl Fn(&str) -> Option<String>) -> Result<LoginFile, SyntaxError> {
        let mut parser = Parser { text, chars: text.char_indices().peekable(), property };
        let mut sections = BTreeMap::new();
        while let Some(section) = parser.name_or_end()? {
            let modules = parser.section()?;
            if sections.insert(section.clone(), modules).is_some() {
                return Err(parser.error(format!("there is a section {section} already")));
            }
        }
        Ok(LoginFile { sections })
    }

    /// As whom this server logs in to others, by a section: `username=` and `password=`.
    pub fn credentials(&self, section: &str) -> Result<Credentials, LoginError> {
        let options = self.digest_options(section)?;
        let option = |option: &'static str| {
            let value = options.get(option).cloned();
            value.ok_or_else(|| LoginError::NoOption { section: section.to_owned(), option })
        };
        Ok(Credentials { username: option("username")?, password: option("password")? })
    }

    /// Who may log in to this server, by a section: `user_<name>=`, with the password.
    pub fn users(&self, section: &str) -> Result<Users, LoginError> {
        let options = self.digest_options(section)?;
        let users: BTreeMap<String, String> = options
            .into_iter()
            .filter_map(|(option, password)| Some((option.strip_prefix("user_")?.to_owned(), password)))
            .collect();
        match users.is_empty() {
            true => Err(LoginError::NoOption { section: section.to_owned(), option: "user_<name>" }),
            false => Ok(Users(users)),
        }
    }

    fn digest_options(&self, section: &str) -> Result<BTreeMap<String, String>, LoginError> {
        let section = section.to_owned();
        let Some(modules) = self.sections.get(&section) else {
            return Err(LoginError::NoSection { section });
        };
        match modules.iter().find(|module| module.class != DIGEST_MODULE) {
            Some(other) => Err(LoginError::Module { section, class: other.class.clone() }),
            None => Ok(modules.iter().flat_map(|module| module.options.clone()).collect()),
        }
    }
}

impl std::fmt::Debug for Module {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{:?}", self.class, self.options.keys())
    }
}

struct Parser<'a, P> {
    text: &'a str,
    chars: Peekable<CharIndices<'a>>,
    property: P,
}

impl<P: Fn(&str) -> Option<String>> Parser<'_, P> {
    fn section(&mut self) -> Result<Vec<Module>, SyntaxError> {
        self.sign('{')?;
        let mut modules = Vec::new();
        while !self.takes('}')? {
            modules.push(self.module()?);
        }
        self.sign(';')?;
        match modules.is_empty() {
            true => Err(self.error("a section needs a login module".to_owned())),
            false => Ok(modules),
        }
    }

    fn module(&mut self) -> Result<Module, SyntaxError> {
        let class = self.name()?;
        let flag = self.name()?;
        if !FLAGS.iter().any(|known| flag.eq_ignore_ascii_case(known)) {
            return Err(self.error(format!("{flag} is none of required, requisite, sufficient and optional")));
        }
        let mut options = BTreeMap::new();
        while !self.takes(';')? {
            let option = self.name()?;
            self.sign('=')?;
            let value = self.name()?;
            options.insert(option, self.expand(&value)?);
        }
        Ok(Module { class, options })
    }

    /// A word, or text in quotes; `None` at the end of the file.
    fn name_or_end(&mut self) -> Result<Option<String>, SyntaxError> {
        self.skip()?;
        match self.chars.peek() {
            None => Ok(None),
            Some((_, quote @ ('"' | '\''))) => {
                let quote = *quote;
                self.chars.next();
                self.quoted(quote).map(Some)
            }
            Some((start, char)) if is_of_word(*char) => {
                let start = *start;
                while self.chars.next_if(|(_, char)| is_of_word(*char)).is_some() {}
                let end = self.chars.peek().map_or(self.text.len(), |(at, _)| *at);
                Ok(Some(self.text[start..end].to_owned()))
            }
            Some((_, other)) => {
                let other = *other;
                Err(self.error(format!("{other:?} stands where a name or a value comes")))
            }
        }
    }

    fn name(&mut self) -> Result<String, SyntaxError> {
        self.name_or_end()?.ok_or_else(|| self.error("the file ends inside a section".to_owned()))
    }

    fn quoted(&mut self, quote: char) -> Result<String, SyntaxError> {
        let mut value = String::new();
        loop {
            match self.chars.next().map(|(_, char)| char) {
                None | Some('\n') => {
                    return Err(self.error(format!("a {quote} is missing at the end of a text")));
                }
                Some(char) if char == quote => return Ok(value),
                Some('\\') => match self.escaped() {
                    Some(char) => value.push(char),
                    None => return Err(self.error("a text ends with a \\".to_owned())),
                },
                Some(char) => value.push(char),
            }
        }
    }

    /// What follows a backslash, which Java reads as C does.
    fn escaped(&mut self) -> Option<char> {
        let (_, char) = self.chars.next()?;
        let one = match char {
            'a' => '\u{7}',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\u{b}',
            '0'..='7' => {
                let mut code = char.to_digit(8)?;
                let digits_max = if char <= '3' { 2 } else { 1 };
                for _ in 0..digits_max {
                    let Some((_, digit)) = self.chars.next_if(|(_, char)| char.is_digit(8)) else { break };
                    code = code * 8 + digit.to_digit(8)?;
                }
                char::from_u32(code)?
            }
            other => other,
        };
        Some(one)
    }

    /// Puts in what properties say.
    fn expand(&self, value: &str) -> Result<String, SyntaxError> {
        let (mut expanded, mut rest) = (String::new(), value);
        while let Some((before, from)) = rest.split_once("${") {
            let Some((name, behind)) = from.split_once('}') else { break };
            let said = match name {
                "/" => Some("/".to_owned()),
                name => (self.property)(name),
            };
            let said =
                said.ok_or_else(|| self.error(format!("unable to expand property {name}: it is not set")))?;
            expanded.extend([before, &said]);
            rest = behind;
        }
        Ok(expanded + rest)
    }

    fn sign(&mut self, sign: char) -> Result<(), SyntaxError> {
        if self.takes(sign)? {
            return Ok(());
        }
        let found = match self.chars.peek() {
            Some((_, found)) => format!("{found:?}"),
            None => "the end of the file".to_owned(),
        };
        Err(self.error(format!("{sign:?} is missing before {found}")))
    }

    fn takes(&mut self, sign: char) -> Result<bool, SyntaxError> {
        self.skip()?;
        Ok(self.chars.next_if(|(_, char)| *char == sign).is_some())
    }

    /// Passes over blanks and comments.
    fn skip(&mut self) -> Result<(), SyntaxError> {
        loop {
            while self.chars.next_if(|(_, char)| char.is_whitespace()).is_some() {}
            if self.chars.next_if(|(_, char)| *char == '/').is_none() {
                return Ok(());
            }
            if self.chars.next_if(|(_, char)| *char == '*').is_none() {
                while self.chars.next_if(|(_, char)| *char != '\n').is_some() {}
                continue;
            }
            let start = self.chars.peek().map_or(self.text.len(), |(at, _)| *at);
            let Some(len) = self.text[start..].find("*/") else {
                return Err(self.error("a comment does not end".to_owned()));
            };
            while self.chars.next_if(|(at, _)| *at < start + len + 2).is_some() {}
        }
    }

    fn error(&self, problem: String) -> SyntaxError {
        let at = self.chars.clone().peek().map_or(self.text.len(), |(at, _)| *at);
        SyntaxError { line: 1 + self.text[..at].matches('\n').count(), problem }
    }
}

fn is_of_word(char: char) -> bool {
    char.is_alphanumeric() || matches!(char, '.' | '-' | '_' | '$' | '*') || char > '\u{a0}'
}

const FLAGS: [&str; 4] = ["required", "requisite", "sufficient", "optional"];
const DIGEST_MODULE: &str = "org.apache.zookeeper.server.auth.DigestLoginModule";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEXT: &str = r#"
        // who may come
        QuorumServer {
            org.apache.zookeeper.server.auth.DigestLoginModule required
            user_zk="se\"cret\101"  /* one;
            more */ user_other=plain;
        };
        "Quorum Learner" {
            org.apache.zookeeper.server.auth.DigestLoginModule REQUIRED
            username="zk" password="${secret}${/}${";
        };
        Client {
            com.sun.security.auth.module.Krb5LoginModule required useKeyTab=true;
        };"#;

    fn parse(text: &str) -> Result<LoginFile, String> {
        let property = |name: &str| (name == "secret").then(|| "from outside".to_owned());
        LoginFile::parse(text, property).map_err(|error| error.to_string())
    }

    #[test]
    fn sections_have_users_or_credentials() {
        let file = parse(TEXT).expect("good");
        let users = [("zk", "se\"cretA"), ("other", "plain")].map(|(name, word)| (name.into(), word.into()));
        assert_eq!(file.users("QuorumServer"), Ok(Users(users.into())));
        let credentials = Credentials { username: "zk".into(), password: "from outside/${".into() };
        assert_eq!(file.credentials("Quorum Learner"), Ok(credentials));
        assert!(!format!("{file:?}").contains("plain"), "passwords are not shown");
    }

    #[test]
    fn a_section_that_is_of_no_use_says_why() {
        let file = parse(TEXT).expect("good");
        let missing = file.users("Server").expect_err("there is none").to_string();
        assert_eq!(
            missing,
            "SASL-authentication failed because the specified JAAS configuration section 'Server' could not be found."
        );
        let kerberos = file.credentials("Client").expect_err("Kerberos").to_string();
        assert!(kerberos.contains("Krb5LoginModule: this server has no Kerberos"), "{kerberos}");
        let no_user = file.credentials("QuorumServer").expect_err("no name").to_string();
        assert!(no_user.starts_with("section QuorumServer has no username=:"), "{no_user}");
        let no_users = file.users("Quorum Learner").expect_err("no users").to_string();
        assert!(no_users.starts_with("section Quorum Learner has no user_<name>=:"), "{no_users}");
    }

    #[test]
    fn what_is_no_log_in_file_is_told_with_its_line() {
        for (text, expected) in [
            ("A", "line 1: '{' is missing before the end of the file"),
            ("A {\n}", "line 2: ';' is missing before the end of the file"),
            ("A {\n};", "line 2: a section needs a login module"),
            ("A { m required a=b", "line 1: the file ends inside a section"),
            ("A { m needed; };", "line 1: needed is none of required, requisite, sufficient and optional"),
            ("A { m required a b; };", "line 1: '=' is missing before 'b'"),
            ("A { m required a=\"b\n\"; };", "line 2: a \" is missing at the end of a text"),
            ("\n# A", "line 2: '#' stands where a name or a value comes"),
            ("/* A", "line 1: a comment does not end"),
            ("A { m required; };\nA { m required; };", "line 2: there is a section A already"),
            ("A { m required a=\"${gone}\"; };", "line 1: unable to expand property gone: it is not set"),
        ] {
            assert_eq!(parse(text), Err(expected.to_owned()), "{text}");
        }
        assert_eq!(parse(" \n // nothing"), Ok(LoginFile::default()));
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange(text in "[a-z{};=\"'/*\\\\ \n$]{0,60}") {
            let _ = parse(&text);
        }

        #[test]
        fn any_password_can_be_written(password in "[^\n]{0,20}") {
            let escaped = password.replace('\\', "\\\\").replace('"', "\\\"");
            prop_assume!(!password.contains("${"));
            let file = parse(&format!("A {{ {DIGEST_MODULE} required user_a=\"{escaped}\"; }};"));
            let users = file.expect("good").users("A").expect("a user");
            prop_assert_eq!(&users.0["a"], &password);
        }
    }
}
