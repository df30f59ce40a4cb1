use nexus::sandbox::Endpoint;

use crate::browsers::{App, Browser, sandbox};
use crate::nexus::approve;
use crate::server::server;

#[test]
fn a_browser_signs_in_on_one_instance_and_chats_on_the_other() {
    let (sandbox, home) = (sandbox(), tempfile::tempdir().unwrap());
    let url = server().database();
    let first = App::start_with(home.path(), &sandbox, &[("NEXUS_STORE", &url)]);
    let callback = format!("{}/oauth/claude/callback", first.origin);
    let variables = [("NEXUS_STORE", &*url), ("CLAUDE_CODE_REDIRECT_URI", &callback)];
    let second = App::start_with(home.path(), &sandbox, &variables);
    assert_ne!(first.origin, second.origin);

    let browser = Browser::default();
    let back = approve(&browser.begin(&second));
    assert!(back.starts_with(&first.origin), "the callback reaches the other instance: {back}");
    let signed_in = browser.get(&back);
    assert_eq!(signed_in.status, 303, "{}", signed_in.body);
    browser.assert_answered(&first, "on the first");
    browser.assert_answered(&second, "on the second");
    assert_eq!(sandbox.requests_to(Endpoint::Token).len(), 1);
}
