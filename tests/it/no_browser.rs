//! `nexus oauth start` where there is no browser: which way it goes, and a response that is pasted at the terminal.

use std::fs::File;
use std::process::Command;

use nexus::ClientAuth;
use nexus::Url;
use nexus::sandbox::{Endpoint, Registration, Sandbox, Scripted, Settings};
use serde_json::json;

use crate::nexus::{Nexus, approve, block_on, deny, sandbox, signal, visit};
use crate::terminal::Terminal;

const COLUMNS: u16 = 400;

/// Runs a command, then prints its exit code and whether the terminal echoes.
const THEN_STATE: &str = "trap : INT; \"$@\"; echo \"exit $?\"; stty -a | grep -ow -e -echo -e echo";

/// `nexus oauth start` in a shell of a terminal.
fn start(nexus: &Nexus, words: &[&str], variables: &[(&str, &str)]) -> Terminal {
    start_in(nexus, THEN_STATE, words, variables)
}

fn start_in(nexus: &Nexus, script: &str, words: &[&str], variables: &[(&str, &str)]) -> Terminal {
    let before = ["/bin/sh", "-c", script, "sh"].map(str::to_owned);
    let command = nexus.command_after(&before, &[&["oauth", "start"], words].concat());
    Terminal::run(nexus, &command, COLUMNS, &[&[("TERM", "xterm")], variables].concat())
}

/// Waits until it waits. Returns what it has printed and the authorization URL.
fn waiting(terminal: &Terminal) -> (String, String) {
    let screen = terminal.shown(|screen| screen.contains("(Ctrl-C cancels)."));
    let url = screen.lines().find(|line| line.starts_with("http")).unwrap().to_owned();
    (screen, url)
}

fn parameter(url: &str, name: &str) -> String {
    let url = Url::parse(url).unwrap();
    url.query_pairs().find(|(known, _)| known == name).unwrap_or_else(|| panic!("no {name}")).1.into_owned()
}

fn has_signed_in(left: &str) -> bool {
    left.contains("Signed in as you@sandbox.example") && left.ends_with("exit 0\necho\n")
}

/// The name of this machine.
fn machine() -> String {
    String::from_utf8(Command::new("uname").arg("-n").output().unwrap().stdout).unwrap().trim().to_owned()
}

fn device_url(sandbox: &Sandbox) -> String {
    format!("device_url = \"{}\"\n", sandbox.url(Endpoint::DeviceAuthorization))
}

#[test]
fn a_pasted_url_finishes_the_sign_in_and_is_not_shown() {
    let sandbox = sandbox(Settings::default());
    let nexus = Nexus::at(&sandbox);
    let mut terminal = start(&nexus, &[], &[]);
    let (screen, url) = waiting(&terminal);
    let redirect_uri = parameter(&url, "redirect_uri");
    let port = Url::parse(&redirect_uri).unwrap().port().unwrap();
    assert_eq!(
        screen,
        format!(
            "To sign in, open this URL in a browser:\n\n{url}\n\n\
             If the browser is on another machine, first run there: ssh -L {port}:localhost:{port} {}\n\
             If the browser cannot open the page at the end, paste its whole URL here and press Enter; it is not shown.\n\
             Waiting for the redirect to {redirect_uri}, for up to 10 minutes (Ctrl-C cancels).\n",
            machine()
        )
    );
    assert!(!terminal.echoes());
    let redirect = approve(&url);
    terminal.press(&format!("{redirect}\r"));
    let left = terminal.finish();
    assert!(has_signed_in(&left.screen), "{}", left.screen);
    let code = parameter(&redirect, "code");
    assert!(!left.bytes.contains(&code), "{}", left.bytes);
    assert_eq!(sandbox.counts().exchanges, 1);
}

#[test]
fn a_code_with_its_state_can_be_pasted() {
    let sandbox = sandbox(Settings::default());
    let nexus = Nexus::at(&sandbox);
    let mut terminal = start(&nexus, &["--no-browser"], &[]);
    let redirect = approve(&waiting(&terminal).1);
    terminal.press(&format!("{}#{}\r", parameter(&redirect, "code"), parameter(&redirect, "state")));
    let left = terminal.finish();
    assert!(has_signed_in(&left.screen), "{}", left.screen);
}

#[test]
fn what_does_not_belong_to_this_sign_in_is_refused_and_the_wait_goes_on() {
    let sandbox = sandbox(Settings::default());
    let nexus = Nexus::at(&sandbox);
    let mut terminal = start(&nexus, &[], &[]);
    let (_, url) = waiting(&terminal);
    let redirect = approve(&url);
    let redirect_uri = parameter(&url, "redirect_uri");
    let code = parameter(&redirect, "code");
    let state = parameter(&redirect, "state");
    for (count, (pasted, why)) in (1..).zip([
        (code.clone(), "a code alone does not show that it belongs to this sign-in"),
        (code.clone(), "a code alone does not show that it belongs to this sign-in"),
        (format!("{code}#{state}x"), "this response belongs to another sign-in"),
        (format!("{redirect_uri}?code={code}"), "this response has no `state`"),
        (url.clone(), "this response has neither `code` nor `error`"),
        (redirect_uri.clone(), "this URL has no `code` and no `state`"),
    ]) {
        terminal.press(&format!("{pasted}\r"));
        let note = format!(
            "note: what you pasted was not used: {why}; paste the whole URL that the browser was sent to, which begins \
             with {redirect_uri}"
        );
        terminal.until(|screen| screen.matches("note: ").count() == count && screen.lines().last() == Some(&*note));
    }
    // The redirect comes after all.
    visit(&redirect);
    let left = terminal.finish();
    assert!(has_signed_in(&left.screen), "{}", left.screen);
    assert!(!left.bytes.contains(&code), "{}", left.bytes);
}

#[test]
fn the_issuer_is_checked_in_a_pasted_response() {
    let sandbox = sandbox(Settings::default());
    let nexus = Nexus::at_with(&sandbox, "require_iss = true\nissuer = \"https://id.example.com\"\n");
    let mut terminal = start(&nexus, &["--no-browser"], &[]);
    let redirect = approve(&waiting(&terminal).1);
    terminal.press(&format!("{}#{}\r", parameter(&redirect, "code"), parameter(&redirect, "state")));
    terminal.until(|screen| screen.contains("this server names itself in the redirect URL"));
    let (uri, _) = redirect.split_once('?').unwrap();
    let state = parameter(&redirect, "state");
    terminal.press(&format!("{uri}?code=c&state={state}&iss=https%3A%2F%2Fevil.example\r"));
    let left = terminal.finish();
    assert!(left.screen.contains("error: the authorization response is from issuer `https://evil.example`"));
    assert!(left.screen.ends_with("exit 4\necho\n"), "{}", left.screen);
    assert_eq!(sandbox.counts().exchanges, 0);
}

#[test]
fn a_long_url_can_be_pasted() {
    let sandbox = sandbox(Settings::default());
    let nexus = Nexus::at(&sandbox);
    let mut terminal = start(&nexus, &[], &[]);
    let redirect = approve(&waiting(&terminal).1);
    terminal.press(&format!("\u{1b}[200~{redirect}&session_state={}\u{1b}[201~\r", "x".repeat(9_000)));
    let left = terminal.finish();
    assert!(has_signed_in(&left.screen), "{}", left.screen);
}

#[test]
fn the_terminal_is_restored_however_it_ends() {
    let sandbox = sandbox(Settings::default());
    let nexus = Nexus::at(&sandbox);
    for (end, code) in [("Ctrl-C", 130), ("refusal", 4), ("timeout", 4)] {
        let words = if end == "timeout" { &["--timeout", "1s"][..] } else { &[] };
        let mut terminal = start(&nexus, words, &[]);
        let (_, url) = waiting(&terminal);
        terminal.press("half a co");
        match end {
            "Ctrl-C" => terminal.press("\u{3}"),
            "refusal" => drop(visit(&deny(&url))),
            _ => {}
        }
        let left = terminal.finish();
        assert!(left.screen.ends_with(&format!("exit {code}\necho\n")), "{end}: {}", left.screen);
        assert!(!left.bytes.contains("half a co"), "{end}: {}", left.bytes);
    }
    for name in ["TERM", "HUP"] {
        let terminal = Terminal::open(&nexus, &["oauth", "start"], COLUMNS);
        waiting(&terminal);
        assert!(!terminal.echoes(), "{name}");
        signal(terminal.id(), name);
        terminal.until_ended();
        assert!(terminal.echoes(), "{name}");
    }
}

#[test]
fn a_program_that_continues_hides_the_input_again() {
    let sandbox = sandbox(Settings::default());
    let nexus = Nexus::at(&sandbox);
    let mut terminal = Terminal::open(&nexus, &["oauth", "start"], COLUMNS);
    let redirect = approve(&waiting(&terminal).1);
    signal(terminal.id(), "STOP");
    // A shell does this.
    let stty = Command::new("stty").arg("echo").stdin(File::open(terminal.device()).unwrap()).status().unwrap();
    assert!(stty.success() && terminal.echoes());
    signal(terminal.id(), "CONT");
    block_on(async {
        while terminal.echoes() {
            tokio::task::yield_now().await;
        }
    });
    terminal.press(&format!("{redirect}\r"));
    let left = terminal.finish();
    assert!(left.code == 0 && !left.bytes.contains(&parameter(&redirect, "code")), "{}", left.bytes);
}

#[test]
fn stdin_is_not_read() {
    let sandbox = sandbox(Settings::default());
    let nexus = Nexus::at(&sandbox);
    nexus.write("prompt", "the prompt\n", 0o600);
    let mut terminal =
        start_in(&nexus, "(\"$@\"; cat; echo \"exit 0\"; stty -a <&2 | grep -ow -e echo) < prompt", &[], &[]);
    let redirect = approve(&waiting(&terminal).1);
    terminal.press(&format!("{redirect}\r"));
    let left = terminal.finish();
    assert!(left.screen.contains("\nthe prompt\n") && has_signed_in(&left.screen), "{}", left.screen);
}

#[test]
fn without_browser_device_flow_and_terminal_it_ends_at_once() {
    let sandbox = sandbox(Settings::default());
    let nexus = Nexus::at(&sandbox);
    assert_output!(
        nexus.run(&["oauth", "start"]), 4, stdout: "",
        stderr: "error: cannot sign in to work here: no browser, no usable device flow, and no terminal to paste into\n  \
                 run `nexus oauth start` at a terminal (`ssh -t`), or set BROWSER, or pass --no-browser to print the URL and \
                 wait for the redirect\n",
    );
}

#[test]
fn over_ssh_the_line_for_a_tunnel_is_printed_without_a_terminal_too() {
    let sandbox = sandbox(Settings::default());
    let mut nexus = Nexus::at(&sandbox);
    nexus.set("SSH_CONNECTION", "192.0.2.1 50000 192.0.2.2 22");
    let mut started = nexus.start(&["--no-browser"]);
    let url = started.url();
    let port = Url::parse(&parameter(&url, "redirect_uri")).unwrap().port().unwrap();
    let line = started.line_that(|line| line.starts_with("If the browser"));
    assert!(line.ends_with(&format!(": ssh -L {port}:localhost:{port} {}", machine())), "{line}");
    visit(&approve(&url));
    assert_eq!(started.finish().code, Some(0));
}

#[test]
fn without_a_browser_the_device_flow_is_used_where_the_server_has_it() {
    let settings = || Settings { device: Some(serde_json::Map::new()), ..Settings::default() };
    let sandbox = sandbox(settings());
    let mut nexus = Nexus::at_with(&sandbox, &device_url(&sandbox));
    let mut started = nexus.start(&[]);
    let code = crate::device::code(&mut started);
    assert!(sandbox.approve_device(&code));
    let output = started.finish();
    assert!(output.code == Some(0) && output.stderr.contains("Signed in as"), "{output}");

    // A browser comes first.
    nexus.set("BROWSER", "/bin/true");
    let mut started = nexus.start(&[]);
    visit(&approve(&started.url()));
    let output = started.finish();
    assert!(output.code == Some(0) && output.stderr.starts_with("Opening your browser"), "{output}");
}

#[test]
fn a_client_that_may_not_use_the_device_flow_signs_in_with_a_url() {
    let sandbox = sandbox(Settings { device: Some(serde_json::Map::new()), ..Settings::default() });
    let nexus = Nexus::at_with(&sandbox, &device_url(&sandbox));
    let refused = || Scripted::json(400, &json!({ "error": "unauthorized_client" }));
    sandbox.script(Endpoint::DeviceAuthorization, [refused()]);
    let mut terminal = start(&nexus, &[], &[]);
    let (screen, url) = waiting(&terminal);
    assert!(screen.starts_with("note: ") && screen.contains("To sign in, open this URL in a browser:\n"), "{screen}");
    terminal.press(&format!("{}\r", approve(&url)));
    let left = terminal.finish();
    assert!(has_signed_in(&left.screen), "{}", left.screen);

    // If it is asked for, that is an error.
    sandbox.script(Endpoint::DeviceAuthorization, [refused()]);
    let output = nexus.run(&["oauth", "start", "--device"]);
    assert!(output.code == Some(2) && output.stderr.starts_with("error: [SERVER] does not allow"), "{output}");
}

#[test]
fn a_device_flow_that_does_not_work_is_no_way_to_sign_in() {
    let sandbox = sandbox(Settings { device: Some(serde_json::Map::new()), ..Settings::default() });
    let nexus = Nexus::at_with(&sandbox, &device_url(&sandbox));
    for (answer, why) in [
        (Scripted::json(400, &json!({ "error": "unauthorized_client" })), "does not allow the client id"),
        (Scripted::json(200, &json!({ "error": "device_flow_disabled" })), "does not allow the client id"),
        (Scripted::json(400, &json!({ "error": "unsupported_grant_type" })), "does not support"),
        (Scripted::json(400, &json!({ "error": "invalid_request" })), "refused the sign-in (invalid_request)"),
        (Scripted::text(404, "text/html", "<html>"), "answered 404"),
    ] {
        sandbox.script(Endpoint::DeviceAuthorization, [answer]);
        let output = nexus.run(&["oauth", "start"]);
        let (note, error) = output.stderr.split_once('\n').unwrap();
        assert!(note.starts_with("note: ") && note.contains(why), "{output}");
        assert!(error.starts_with("error: cannot sign in to work here"), "{output}");
        assert_eq!(output.code, Some(4), "{output}");
    }
    // What may pass, and an answer that must not be used, are errors of their own.
    for (answer, code) in [
        (Scripted::text(503, "text/html", "<html>"), 75),
        (
            Scripted::json(
                200,
                &json!({ "device_code": "d", "user_code": "A", "verification_uri": "http://x.example/" }),
            ),
            1,
        ),
    ] {
        sandbox.script(Endpoint::DeviceAuthorization, [answer]);
        let output = nexus.run(&["oauth", "start"]);
        assert!(output.code == Some(code) && output.stderr.starts_with("error: "), "{output}");
    }
}

#[test]
fn a_server_that_registers_no_client_for_the_device_flow_gets_one_for_the_browser() {
    let sandbox = sandbox(Settings {
        device: Some(serde_json::Map::new()),
        registration: Some(Registration::open(ClientAuth::None)),
        ..Settings::default()
    });
    let nexus = Nexus::at(&sandbox);
    let section = format!(
        "default = \"work\"\n[provider.work]\nissuer = \"{}\"\nredirect_uri = \"http://127.0.0.1:0/callback\"\n",
        sandbox.origin()
    );
    nexus.configure(&section);
    sandbox.script(Endpoint::Register, [Scripted::json(400, &json!({ "error": "invalid_client_metadata" }))]);
    let mut terminal = start(&nexus, &[], &[]);
    let (screen, url) = waiting(&terminal);
    assert!(screen.contains("note: no client could be registered: "), "{screen}");
    terminal.press(&format!("{}\r", approve(&url)));
    let left = terminal.finish();
    assert!(has_signed_in(&left.screen), "{}", left.screen);
}

#[test]
fn a_qr_code_is_shown_if_it_fits_the_terminal() {
    let sandbox = sandbox(Settings { device: Some(serde_json::Map::new()), ..Settings::default() });
    let nexus = Nexus::at_with(&sandbox, &device_url(&sandbox));
    for (columns, variables, shown) in [
        (80, &[("TERM", "xterm")][..], true),
        (80, &[("TERM", "xterm"), ("NO_COLOR", "1")], true),
        (30, &[("TERM", "xterm")], false),
    ] {
        let terminal = Terminal::open_with(&nexus, &["oauth", "start", "--device"], columns, variables);
        let screen = terminal.shown(|screen| screen.contains("(Ctrl-C"));
        assert_eq!(screen.contains("████"), shown, "{screen}");
        assert_eq!(screen.contains("\nThe QR code opens the page with this code in it.\n"), shown, "{screen}");
        let code = screen.split("enter this code:\n\n").nth(1).unwrap().lines().next().unwrap().to_owned();
        assert!(sandbox.approve_device(&code), "{screen}");
        let left = terminal.finish();
        assert_eq!(left.bytes.contains("\u{1b}[97m\u{1b}[40m█"), shown && variables.len() == 1, "{}", left.bytes);
    }
    let mut started = nexus.start(&["--device"]);
    let code = crate::device::code(&mut started);
    assert!(sandbox.approve_device(&code));
    let output = started.finish();
    assert!(!output.stderr.contains('█'), "{output}");
}

#[test]
fn a_qr_code_never_pushes_the_url_and_the_code_off_the_screen() {
    let sandbox = sandbox(Settings { device: Some(serde_json::Map::new()), ..Settings::default() });
    let nexus = Nexus::at_with(&sandbox, &device_url(&sandbox));
    let mut shown = Vec::new();
    for size in [(80, 24), (80, 30), (40, 40), (80, 50)] {
        let command = nexus.command(&["oauth", "start", "--device"]);
        let terminal = Terminal::run_in(&nexus, &command, size, &[("TERM", "xterm")]);
        let screen = terminal.shown(|screen| screen.contains("waiting for approval"));
        let from_url = screen.lines().skip_while(|line| !line.starts_with("http://")).count();
        assert!(from_url <= size.1.into(), "{size:?}: {screen}");
        shown.push(screen.contains("████"));
        let code = screen.split("enter this code:\n\n").nth(1).unwrap().lines().next().unwrap().to_owned();
        assert!(sandbox.approve_device(&code), "{screen}");
        terminal.until_ended();
    }
    assert_eq!(shown, [false, true, true, true]);
}

#[test]
fn without_a_browser_the_issuer_is_asked_for_the_device_flow_and_may_be_down() {
    let sandbox = sandbox(Settings { device: Some(serde_json::Map::new()), ..Settings::default() });
    let nexus = Nexus::at_with(&sandbox, &format!("issuer = \"{}\"\n", sandbox.origin()));
    let mut started = nexus.start(&[]);
    let code = crate::device::code(&mut started);
    assert!(sandbox.approve_device(&code));
    let output = started.finish();
    assert!(output.code == Some(0) && output.stderr.contains("Signed in as"), "{output}");

    // Then the URL is printed, for which the configuration has all.
    sandbox.change(|settings| settings.publishes.clear());
    let mut terminal = start(&nexus, &[], &[]);
    let (screen, url) = waiting(&terminal);
    assert!(screen.starts_with("To sign in, open this URL in a browser:\n"), "{screen}");
    terminal.press(&format!("{}\r", approve(&url)));
    let left = terminal.finish();
    assert!(has_signed_in(&left.screen), "{}", left.screen);
}
