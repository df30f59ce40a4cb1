//! What becomes of the session that a sign-in replaces.

use nexus::sandbox::{Endpoint, Gate, Sandbox, Scripted, Settings};
use serde_json::json;

use crate::nexus::{Nexus, approve, block_on, config, newest, visit};
use crate::oauth_start::{signed_in, verdict};

/// The tokens of the revocation requests.
fn revoked(sandbox: &Sandbox) -> Vec<String> {
    sandbox.requests_to(Endpoint::Revoke).iter().filter_map(|seen| seen.field("token")).collect()
}

#[test]
fn signing_in_with_another_account_revokes_the_old_session() {
    let token_extra = json!({ "grant_id": null }).as_object().unwrap().clone();
    let (sandbox, nexus) = Nexus::signed_in(Settings { token_extra, ..Settings::default() });
    let first = nexus.run(&["oauth", "token"]).ok();
    sandbox.change(|settings| settings.account = "other@sandbox.example".into());
    let (output, ..) = signed_in(&nexus);
    assert!(
        verdict(&output).starts_with("note: the earlier session was revoked at [SERVER]\nSigned in as "),
        "{output}"
    );
    assert_ne!(nexus.run(&["oauth", "token"]).ok(), first);
    assert!(revoked(&sandbox).contains(&first.trim().to_owned()), "{:?}", revoked(&sandbox));
    nexus.run(&["chat", "x"]).ok();
}

#[test]
fn a_replaced_session_with_its_own_grant_is_revoked_after_the_new_one_is_saved() {
    let (sandbox, nexus) = Nexus::signed_in(Settings::default());
    let (first, old) = (nexus.run(&["oauth", "token"]).ok(), newest(&sandbox, "refresh"));
    let gate = Gate::new();
    sandbox.script(Endpoint::Revoke, [Scripted::Wait(gate.clone())]);
    let mut started = nexus.start(&["--no-browser"]);
    let back = approve(&started.url());
    let page = std::thread::spawn(move || visit(&back));
    block_on(gate.arrived(1));
    let stored = nexus.run(&["oauth", "token"]).ok();
    assert_ne!(stored, first, "it is stored before the old one goes");
    gate.open();
    page.join().unwrap();
    let output = started.finish();
    let note = "note: the earlier session was revoked at [SERVER]\nSigned in as ";
    assert!(output.code == Some(0) && verdict(&output).starts_with(note), "{output}");
    assert_eq!(revoked(&sandbox), [old, first.trim().to_owned()]);
    nexus.run(&["chat", "x"]).ok();
}

#[test]
fn a_replaced_session_that_may_share_a_grant_is_not_revoked() {
    let no_name = json!({ "grant_id": null });
    for (one_grant, extra) in [(true, json!({})), (false, no_name.clone()), (true, no_name)] {
        let token_extra = extra.as_object().unwrap().clone();
        let (sandbox, nexus) = Nexus::signed_in(Settings { one_grant, token_extra, ..Settings::default() });
        let first = nexus.run(&["oauth", "token"]).ok();
        let (output, ..) = signed_in(&nexus);
        let note = "note: the earlier session stays valid at [SERVER] until it expires; if revoking it does not end the new one there, set `revoke_replaced = true` under [provider.work] to revoke it next time\nSigned in as ";
        assert!(verdict(&output).starts_with(note), "{output}");
        assert_ne!(nexus.run(&["oauth", "token"]).ok(), first);
        assert_eq!(revoked(&sandbox), Vec::<String>::new());
        nexus.run(&["chat", "x"]).ok();
    }
}

#[test]
fn revoke_replaced_overrides_the_default() {
    let unnamed = json!({ "grant_id": null }).as_object().unwrap().clone();
    for (settings, line, note, revocations) in [
        (
            Settings { token_extra: unnamed, ..Settings::default() },
            "revoke_replaced = true",
            "note: the earlier session was revoked at [SERVER]\nSigned in as ",
            2,
        ),
        (
            Settings::default(),
            "revoke_replaced = false",
            "note: the earlier session stays valid at [SERVER] until it expires, as `revoke_replaced` says\nSigned in as ",
            0,
        ),
    ] {
        let (sandbox, nexus) = Nexus::signed_in_with(settings, line);
        let (output, ..) = signed_in(&nexus);
        assert!(output.code == Some(0) && verdict(&output).starts_with(note), "{line}: {output}");
        assert_eq!(revoked(&sandbox).len(), revocations, "{line}");
        nexus.run(&["chat", "x"]).ok();
    }
}

#[test]
fn a_replaced_session_is_reported_if_it_is_still_valid() {
    let (sandbox, nexus) =
        Nexus::signed_in(Settings { refresh_tokens: false, token_lifetime: Some(json!(0)), ..Settings::default() });
    let (output, ..) = signed_in(&nexus);
    assert!(verdict(&output).starts_with("Signed in as "), "an expired one is nothing to speak of: {output}");

    sandbox.change(|settings| settings.token_lifetime = Some(json!(3_600)));
    let config = config(&sandbox, "");
    nexus.configure(&config.lines().filter(|line| !line.starts_with("revoke_url")).collect::<Vec<_>>().join("\n"));
    nexus.sign_in();
    let (output, ..) = signed_in(&nexus);
    let note = "note: the earlier session stays valid at [SERVER] until it expires: this provider has no revocation endpoint\n";
    assert!(verdict(&output).starts_with(note), "{output}");

    nexus.configure(&config);
    nexus.sign_in();
    sandbox.script(Endpoint::Revoke, [Scripted::text(503, "text/plain", "")]);
    let (output, ..) = signed_in(&nexus);
    let note =
        "note: the earlier session stays valid at [SERVER] until it expires: not revoked, [SERVER] answered 503\n";
    assert!(output.code == Some(0) && verdict(&output).starts_with(note), "{output}");
}
