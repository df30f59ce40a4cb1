//! Which way a sign-in goes.

use super::Args;
use crate::cli::context::Context;
use nexus::ProviderConfig;

/// A way to sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// The browser is opened, and the redirect comes to the listener.
    Browser,
    /// A code is entered on another device (RFC 8628).
    Device,
    /// The URL is printed. The redirect comes to the listener, or is pasted.
    Url,
}

/// Everything that the way depends on.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Situation {
    /// `--device`.
    device: bool,
    /// `--no-browser`.
    no_browser: bool,
    /// `BROWSER` is set, or windows can be shown.
    has_browser: bool,
    has_terminal: bool,
    /// The server has an authorization endpoint.
    has_page: bool,
    /// The server has the device flow.
    has_device_flow: bool,
}

impl Situation {
    pub(super) fn new(args: &Args, provider: &ProviderConfig, context: &Context) -> Self {
        Self {
            device: args.device,
            no_browser: args.no_browser,
            has_browser: context.has_browser(),
            has_terminal: context.has_terminal(),
            has_page: provider.authorize_url.is_some(),
            has_device_flow: provider.device_url.is_some(),
        }
    }

    /// Whether the device flow is used if the server has it.
    pub(super) fn prefers_device(&self) -> bool {
        self.device || !self.no_browser && !self.has_browser
    }

    /// The way, or `None` if none was asked for and none works.
    pub(super) fn way(&self) -> Option<Way> {
        let only_device = self.has_device_flow && !self.has_page;
        match self {
            Self { device: true, .. } => Some(Way::Device),
            _ if only_device => Some(Way::Device),
            Self { no_browser: true, .. } => Some(Way::Url),
            Self { has_browser: true, .. } => Some(Way::Browser),
            Self { has_device_flow: true, .. } => Some(Way::Device),
            Self { has_terminal: true, .. } => Some(Way::Url),
            _ => None,
        }
    }

    /// The situation if the device flow does not work. `None` if it was asked for, or is all that the server has.
    pub(super) fn without_device_flow(self) -> Option<Self> {
        (self.has_page && !self.device).then_some(Self { has_device_flow: false, ..self })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each letter is something that is there: `d` for `--device`, `n` for `--no-browser`, `b` for a browser, `t` for a
    /// terminal, `p` for the server's authorization page, `f` for its device flow.
    fn situation(letters: &str) -> Situation {
        let has = |letter| letters.contains(letter);
        Situation {
            device: has('d'),
            no_browser: has('n'),
            has_browser: has('b'),
            has_terminal: has('t'),
            has_page: has('p'),
            has_device_flow: has('f'),
        }
    }

    #[test]
    fn the_way_is_what_is_asked_for_or_what_works() {
        for (letters, way, without_device) in [
            ("pb", Some(Way::Browser), Some(Way::Browser)),
            ("pbt", Some(Way::Browser), Some(Way::Browser)),
            ("pbtf", Some(Way::Browser), Some(Way::Browser)),
            ("pf", Some(Way::Device), None),
            ("ptf", Some(Way::Device), Some(Way::Url)),
            ("pt", Some(Way::Url), Some(Way::Url)),
            ("p", None, None),
            ("bf", Some(Way::Device), None),
            ("f", Some(Way::Device), None),
            ("b", Some(Way::Browser), None),
            ("", None, None),
            // With `--no-browser`, even without a terminal.
            ("np", Some(Way::Url), Some(Way::Url)),
            ("npbtf", Some(Way::Url), Some(Way::Url)),
            ("nf", Some(Way::Device), None),
            // With `--device`, even if the server seems to have none, which is an error then.
            ("dp", Some(Way::Device), None),
            ("dpbtf", Some(Way::Device), None),
            ("dnpb", Some(Way::Device), None),
        ] {
            let situation = situation(letters);
            assert_eq!(situation.way(), way, "{letters:?}");
            let other = situation.without_device_flow().and_then(|situation| situation.way());
            assert_eq!(other, without_device, "{letters:?}");
        }
    }

    #[test]
    fn the_server_is_asked_for_the_device_flow_only_where_it_would_be_used() {
        for (letters, prefers) in
            [("", true), ("t", true), ("b", false), ("n", false), ("d", true), ("db", true), ("nb", false)]
        {
            assert_eq!(situation(letters).prefers_device(), prefers, "{letters:?}");
        }
    }
}
