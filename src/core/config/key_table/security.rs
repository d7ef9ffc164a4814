//! Who may do what (config §8).

use crate::config::Status::{self, IgnoredJvm, NotYet, Supported};
use crate::config::key::{AnyKey, Key};
use crate::config::kind::{Digest, Flag, Text, Word};

pub(in crate::config) static SKIP_ACL: Key<Word> =
    Key::property("skipACL", Word::turns_on("yes"), Supported, "yes: ACLs are not looked at");

pub(in crate::config) static EAGER_ACL_CHECK: Key<Flag> = Key::property(
    "enableEagerACLCheck",
    Flag::or(false),
    NotYet("the server that orders a write checks it"),
    "look at ACLs before ordering a write",
);

pub(in crate::config) static ENFORCE_QUOTA: Key<Flag> =
    Key::property("enforceQuota", Flag::or(false), Supported, "refuse what exceeds a hard quota");

pub(in crate::config) static DIGEST_ENABLED: Key<Flag> =
    Key::property("DigestAuthenticationProvider.enabled", Flag::or(true), Supported, "the scheme digest");

pub(in crate::config) static SUPER_DIGEST: Key<Text> = Key::property(
    "DigestAuthenticationProvider.superDigest",
    Text::optional(),
    Supported,
    "user:hash of who may do everything",
);

pub(in crate::config) static DIGEST_ALG: Key<Digest> = Key::property(
    "DigestAuthenticationProvider.digestAlg",
    Digest,
    Supported,
    "how the passwords of the scheme digest are hashed",
)
.refusing();

pub(in crate::config) static ENFORCE_AUTH: Key<Flag> = Key::property(
    "enforce.auth.enabled",
    Flag::or(false),
    Supported,
    "refuse requests of the unauthenticated",
);

pub(in crate::config) static ENFORCE_AUTH_SCHEMES: Key<Text> =
    Key::property("enforce.auth.schemes", Text::optional(), Supported, "schemes that count, by commas");

pub(in crate::config) static LOGIN_FILE: Key<Text> = Key::bare(
    "java.security.auth.login.config",
    Text::optional(),
    Supported,
    "names and passwords of servers, for quorum.auth.enableSasl",
);

pub(in crate::config) static REQUIRE_CLIENT_SASL: Key<Flag> =
    Key::property("sessionRequireClientSASLAuth", Flag::or(false), Supported, "refuse clients without SASL");

pub(in crate::config) static KEYS: &[&dyn AnyKey] = &[
    &SKIP_ACL,
    &EAGER_ACL_CHECK,
    &ENFORCE_QUOTA,
    &DIGEST_ENABLED,
    &SUPER_DIGEST,
    &DIGEST_ALG,
    &ENFORCE_AUTH,
    &ENFORCE_AUTH_SCHEMES,
    &REQUIRE_CLIENT_SASL,
    &Key::property(
        "X509AuthenticationProvider.superUser",
        Text::optional(),
        NO_TLS,
        "subject who may do everything",
    ),
    &Key::property("superUser", Text::optional(), NO_SASL, "principal who may do everything"),
    &Key::property("superUser.*", Text::optional(), NO_SASL, "another principal who may do everything"),
    &Key::property(
        "SASLAuthenticationProvider.superPassword",
        Text::optional(),
        NO_SASL,
        "password of user super",
    ),
    &Key::property(
        "authProvider.*",
        Text::optional(),
        NotYet("the schemes are world, ip, auth, super and digest"),
        "class of another scheme",
    ),
    &Key::property("ssl.authProvider", Text::or("x509"), NO_TLS, "scheme of clients with TLS"),
    &Key::property(
        "IPAuthenticationProvider.usexforwardedfor",
        Flag::or(false),
        NotYet("there is no administration over HTTP"),
        "trust X-Forwarded-For",
    ),
    &Key::property(
        "ensembleAuthName",
        Text::optional(),
        NotYet("there is no scheme ensemble"),
        "names that clients may ask for",
    ),
    &Key::property("allowSaslFailedClients", Flag::or(false), NO_SASL, "keep clients whose log-in failed"),
    &Key::property("letAnySaslUserDoX", Text::optional(), NO_SASL, "an id that matches every principal"),
    &Key::property("kerberos.*", Text::optional(), NO_SASL, "how principals are shortened"),
    &Key::property("security.auth_to_local", Text::or("DEFAULT"), NO_SASL, "rules that name principals"),
    &Key::property("sasl.serverconfig", Text::or("Server"), NO_SASL, "section of the log-in file"),
    &LOGIN_FILE,
    &Key::property("requireKerberosConfig", Text::optional(), IgnoredJvm, "insist on a krb5.conf"),
];

const NO_SASL: Status = NotYet("there is no SASL for clients");
const NO_TLS: Status = NotYet("there is no TLS");
