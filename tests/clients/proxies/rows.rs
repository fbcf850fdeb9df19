//! The proxy settings under test.

use crate::support::site::SERVER;

/// Where a variable is set, lowest precedence first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layer {
    Environment,
    User,
    Project,
    Argument,
    Managed,
}

#[derive(Debug)]
pub struct Row {
    /// Layer, name, value; `~` is the home.
    pub settings: &'static [(Layer, &'static str, &'static str)],
    /// The server that is contacted.
    pub server: &'static str,
    /// Whether every test run includes it.
    pub always: bool,
    /// Why the relay differs from claude; empty if it does not.
    pub instead: &'static str,
}

impl Row {
    /// Its settings, as the table shows them.
    pub fn words(&self) -> String {
        let layer = |layer: &Layer| match layer {
            Layer::Environment => "",
            Layer::User => "user settings: ",
            Layer::Project => "project settings: ",
            Layer::Argument => "--settings: ",
            Layer::Managed => "managed settings: ",
        };
        let word = |(where_, name, value): &(Layer, &str, &str)| {
            let value = value.escape_default().to_string().replace("\\'", "'").replace("\\\"", "\"");
            format!("{}`{name}={value}`", layer(where_))
        };
        let words: Vec<String> = self.settings.iter().map(word).collect();
        if words.is_empty() { "nothing".to_owned() } else { words.join(", ") }
    }
}

const fn row(settings: &'static [(Layer, &'static str, &'static str)]) -> Row {
    Row { settings, server: SERVER, always: false, instead: "" }
}

impl Row {
    const fn always(self) -> Self {
        Self { always: true, ..self }
    }

    const fn at(self, server: &'static str) -> Self {
        Self { server, ..self }
    }

    const fn instead(self, instead: &'static str) -> Self {
        Self { instead, ..self }
    }
}

macro_rules! https_proxy {
    ($value:literal) => {
        row(&[(Layer::Environment, "HTTPS_PROXY", $value)])
    };
}

macro_rules! environment {
    ($($name:ident=$value:literal),*) => {
        row(&[$((Layer::Environment, stringify!($name), $value)),*])
    };
}

macro_rules! settings {
    ($($layer:ident $name:ident=$value:literal),*) => {
        row(&[$((Layer::$layer, stringify!($name), $value)),*])
    };
}

macro_rules! no_proxy {
    ($value:literal) => {
        environment!(HTTPS_PROXY = "http://proxy.test:3128", NO_PROXY = $value)
    };
}

const ADDRESS: &str = "10.9.0.1:8443";
const ADDRESS_6: &str = "[fd00::1]:8443";

pub const ROWS: &[Row] = &[
    row(&[]).always(),
    // Schemes.
    https_proxy!("http://proxy.test:3128").always(),
    https_proxy!("https://proxy.test:3128").always(),
    https_proxy!("HtTp://PROXY.test:3128"),
    https_proxy!("socks5h://proxy.test:3128").always(),
    https_proxy!("socks5://proxy.test:3128"),
    https_proxy!("socks4://proxy.test:3128"),
    https_proxy!("socks://proxy.test:3128"),
    https_proxy!("ftp://proxy.test:3128"),
    https_proxy!("proxy.test:3128").always(),
    https_proxy!("10.9.0.2:3128").always(),
    https_proxy!("[fd00::2]:3128"),
    https_proxy!("proxy.test"),
    https_proxy!("//proxy.test:3128"),
    https_proxy!("http:proxy.test:3128"),
    // Ports, paths, addresses, blanks.
    https_proxy!("http://proxy.test"),
    https_proxy!("https://proxy.test"),
    https_proxy!("http://proxy.test:3128/"),
    https_proxy!("http://proxy.test:3128/path?query#fragment"),
    https_proxy!("http://[fd00::2]:3128"),
    https_proxy!(" http://proxy.test:3128\n").always(),
    https_proxy!("http://proxy.test:99999"),
    // Credentials.
    https_proxy!("http://user:word@proxy.test:3128").always(),
    https_proxy!("https://user:word@proxy.test:3128"),
    https_proxy!("http://us%40er:w%3Ao%25rd@proxy.test:3128"),
    https_proxy!("http://user:wo@rd@proxy.test:3128"),
    https_proxy!("http://user:@proxy.test:3128"),
    https_proxy!("http://user@proxy.test:3128"),
    https_proxy!("http://:word@proxy.test:3128"),
    https_proxy!("http://user:wo%zzrd@proxy.test:3128"),
    https_proxy!("http://user:wo%E4rd@proxy.test:3128").instead("UTF-8 is sent or nothing"),
    https_proxy!("http://user:wo/rd@proxy.test:3128"),
    https_proxy!("user:word@proxy.test:3128"),
    // No proxy at all, or one that does not answer.
    https_proxy!("").always(),
    https_proxy!(" "),
    https_proxy!("none").always(),
    https_proxy!("direct://"),
    https_proxy!("http://"),
    https_proxy!("http://:3128"),
    https_proxy!("not a URL"),
    https_proxy!("http://proxy.test:1").always(),
    https_proxy!("http://nowhere.test:3128"),
    // Which variable has precedence.
    environment!(https_proxy = "http://proxy.test:3128", HTTPS_PROXY = "http://proxy.test:3129").always(),
    environment!(https_proxy = "", HTTPS_PROXY = "http://proxy.test:3128"),
    environment!(HTTP_PROXY = "http://proxy.test:3128"),
    environment!(http_proxy = "http://proxy.test:3128", HTTP_PROXY = "http://proxy.test:3129"),
    environment!(HTTPS_PROXY = "http://proxy.test:3128", http_proxy = "http://proxy.test:3129"),
    environment!(HTTPS_PROXY = "none", HTTP_PROXY = "http://proxy.test:3128"),
    environment!(HTTPS_PROXY = "none", https_proxy = "http://proxy.test:3128"),
    environment!(ALL_PROXY = "http://proxy.test:3128").always(),
    environment!(all_proxy = "http://proxy.test:3128", ALL_PROXY = "http://proxy.test:3129"),
    environment!(HTTP_PROXY = "http://proxy.test:3128", ALL_PROXY = "http://proxy.test:3129"),
    environment!(ALL_PROXY = "socks5h://proxy.test:3128").instead("a proxy that is named is not passed by"),
    // NO_PROXY.
    no_proxy!("act.corp.test").always(),
    no_proxy!("corp.test"),
    no_proxy!(".corp.test"),
    no_proxy!("*.corp.test").always(),
    no_proxy!("orp.test"),
    no_proxy!("*corp.test"),
    no_proxy!("act.*"),
    no_proxy!("ACT.Corp.Test"),
    no_proxy!("act.corp.test."),
    no_proxy!("act.corp.test:8443"),
    no_proxy!("act.corp.test:443"),
    no_proxy!(".corp.test:8443"),
    no_proxy!("*"),
    no_proxy!("*:8443"),
    no_proxy!("a, act.corp.test ,b"),
    no_proxy!("a act.corp.test b"),
    no_proxy!("a;act.corp.test"),
    no_proxy!("https://act.corp.test"),
    no_proxy!(""),
    environment!(HTTPS_PROXY = "http://proxy.test:3128", NO_PROXY = "x", no_proxy = "act.corp.test"),
    environment!(HTTPS_PROXY = "http://proxy.test:3128", NO_PROXY = "act.corp.test", no_proxy = "x").always(),
    environment!(HTTPS_PROXY = "http://proxy.test:3128", NO_PROXY = "act.corp.test", no_proxy = ""),
    no_proxy!("10.9.0.1").at(ADDRESS),
    no_proxy!("10.9.0.0/24").at(ADDRESS),
    no_proxy!("10.9.0.*").at(ADDRESS),
    no_proxy!("fd00:0::1").at(ADDRESS_6),
    no_proxy!("[fd00::1]:8443").at(ADDRESS_6),
    no_proxy!("fd00::/8").at(ADDRESS_6),
    // Settings.
    settings!(User HTTPS_PROXY = "http://proxy.test:3128").always(),
    settings!(Argument HTTPS_PROXY = "http://proxy.test:3128").always(),
    settings!(Managed HTTPS_PROXY = "http://proxy.test:3128").always(),
    settings!(Project HTTPS_PROXY = "http://proxy.test:3128").always().instead("a repository does not choose"),
    settings!(Environment HTTPS_PROXY = "http://proxy.test:3129", User HTTPS_PROXY = "http://proxy.test:3128"),
    settings!(Environment HTTPS_PROXY = "http://proxy.test:3128", User HTTPS_PROXY = ""),
    settings!(Environment https_proxy = "http://proxy.test:3128", User HTTPS_PROXY = "http://proxy.test:3129"),
    settings!(User HTTPS_PROXY = "http://proxy.test:3129", Argument HTTPS_PROXY = "http://proxy.test:3128"),
    settings!(Argument HTTPS_PROXY = "http://proxy.test:3129", Managed HTTPS_PROXY = "http://proxy.test:3128"),
    settings!(Environment HTTPS_PROXY = "http://proxy.test:3128", User NO_PROXY = "act.corp.test"),
    settings!(Environment HTTPS_PROXY = "http://proxy.test:3128", Project NO_PROXY = "*")
        .instead("a repository does not choose"),
    settings!(User HTTPS_PROXY = "socks5h://proxy.test:3128").always(),
    settings!(User HTTPS_PROXY = "none"),
    // Certificates.
    environment!(NODE_EXTRA_CA_CERTS = ""),
    environment!(NODE_EXTRA_CA_CERTS = "", SSL_CERT_FILE = "~/../ca.pem"),
    environment!(NODE_EXTRA_CA_CERTS = "../../ca.pem"),
    environment!(NODE_EXTRA_CA_CERTS = "", NODE_TLS_REJECT_UNAUTHORIZED = "0")
        .instead("a token is not sent to whoever answers"),
    settings!(Environment NODE_EXTRA_CA_CERTS = "", User NODE_EXTRA_CA_CERTS = "~/../ca.pem").always(),
    settings!(Environment NODE_EXTRA_CA_CERTS = "", Managed NODE_EXTRA_CA_CERTS = "~/../ca.pem"),
    settings!(Environment NODE_EXTRA_CA_CERTS = "", Project NODE_EXTRA_CA_CERTS = "~/../ca.pem")
        .instead("a repository does not choose"),
    settings!(Environment NODE_EXTRA_CA_CERTS = "", User SSL_CERT_FILE = "~/../ca.pem"),
    settings!(User NODE_EXTRA_CA_CERTS = "/nonexistent"),
];
