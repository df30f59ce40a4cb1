//! The browser that `nexus oauth start` opens.

use std::net::TcpListener;
use std::path::Path;

use nexus::sandbox::Settings;

use crate::nexus::{Nexus, approve, block_on, sandbox, visit};

/// The lines that the browser writes, perhaps after nexus has ended.
fn written(path: &Path) -> String {
    block_on(async {
        loop {
            match std::fs::read_to_string(path) {
                Ok(text) if text.ends_with('\n') => break text,
                _ => tokio::task::yield_now().await,
            }
        }
    })
}

#[test]
fn the_browser_variable_chooses_the_browser() {
    let sandbox = sandbox(Settings::default());
    let mut nexus = Nexus::at(&sandbox);
    let told = nexus.path("told");
    // In its own process group it survives Ctrl-C.
    let group = "[ ! -e /proc/$$/stat ] || [ \"$(cut -d' ' -f5 /proc/$$/stat)\" = $$ ] && echo its own group";
    let text = format!("#!/bin/sh\n(printf '%s\\n' \"$@\"; {group}) > {0}.part\nmv {0}.part {0}\n", told.display());
    nexus.write("browser", &text, 0o700);
    nexus.set("BROWSER", &format!("/nonexistent/browser:{} --new-window %s", nexus.path("browser").display()));
    let mut started = nexus.start(&[]);
    let url = started.url();
    visit(&approve(&url));
    let output = started.finish();
    assert!(output.stderr.starts_with("Opening your browser to sign in. If it does not open, go to:\n\n"), "{output}");
    assert_eq!(written(&told), format!("--new-window\n{url}\nits own group\n"));
}

#[test]
fn the_browser_variable_is_split_as_a_shell_would() {
    let sandbox = sandbox(Settings::default());
    let mut nexus = Nexus::at(&sandbox);
    let told = nexus.path("told");
    let text = format!("#!/bin/sh\nprintf '%s\\n' \"$@\" > {0}.part\nmv {0}.part {0}\n", told.display());
    nexus.write("my browser", &text, 0o700);
    let path = nexus.path("my browser").to_string_lossy().into_owned();
    for (list, words) in [
        (format!("'{path}' -P 'two words'"), "-P\ntwo words\n"),
        (format!("\"{path}\" -P \"$HOME\" `id`"), "-P\n$HOME\n`id`\n"),
        (path.replace(' ', "\\ "), ""),
        (path.clone(), ""),
    ] {
        nexus.set("BROWSER", &list);
        let mut started = nexus.start(&[]);
        let url = started.url();
        visit(&approve(&url));
        let output = started.finish();
        assert!(output.stderr.starts_with("Opening your browser") && !output.stderr.contains("no browser"), "{output}");
        assert_eq!(written(&told), format!("{words}{url}\n"), "{list}");
        std::fs::remove_file(&told).unwrap();
    }
}

#[test]
fn a_browser_that_does_not_open_is_reported_and_the_wait_goes_on() {
    let sandbox = sandbox(Settings::default());
    let mut nexus = Nexus::at(&sandbox);
    nexus.write("fails", "#!/bin/sh\nexit 3\n", 0o700);
    nexus.write("works", "#!/bin/sh\n", 0o700);
    nexus.write("locked", "#!/bin/sh\n", 0o600);
    let fails = nexus.path("fails").to_string_lossy().into_owned();
    let invitation = "To sign in, open this URL in a browser on this machine:\n\n";
    for (list, why) in [
        ("/none/browser", "`/none/browser` not found"),
        ("/none/browser:none-2", "`/none/browser`, `none-2` not found"),
        ("'browser", "BROWSER has a quote that is not closed"),
        (":", "BROWSER names no program"),
        ("[HOME]/locked", "`[HOME]/locked` cannot be started: Permission denied (os error 13)"),
    ] {
        nexus.set("BROWSER", &list.replace("[HOME]", &nexus.home().to_string_lossy()));
        let mut started = nexus.start(&[]);
        visit(&approve(&started.url()));
        let output = started.finish();
        let note = format!("note: no browser could be opened: {why}\n{invitation}");
        assert!(output.code == Some(0) && output.stderr.starts_with(&note), "{list}: {output}");
        assert_eq!(output.stderr.matches("no browser could be opened").count(), 1, "{output}");
    }
    for list in [fails.clone(), format!("{fails}:/none/browser"), format!("{fails} -x '%s':{fails}")] {
        nexus.set("BROWSER", &list);
        let mut started = nexus.start(&[]);
        let url = started.url();
        let line = started.line_that(|line| line.starts_with("note: no browser"));
        let count = list.matches("/fails").count();
        let why = vec![format!("`{fails}` failed (exit status: 3)"); count].join("; ");
        assert_eq!(
            line,
            format!("note: no browser could be opened: {why}; open the URL above in a browser on this machine")
        );
        visit(&approve(&url));
        let output = started.finish();
        assert!(output.code == Some(0) && output.stderr.starts_with("Opening your browser"), "{output}");
    }
    nexus.set("BROWSER", &format!("{fails}:{}", nexus.path("works").display()));
    let mut started = nexus.start(&[]);
    visit(&approve(&started.url()));
    let output = started.finish();
    assert!(output.code == Some(0) && !output.stderr.contains("no browser"), "{output}");
}

#[test]
fn the_port_is_bound_before_the_browser_opens() {
    let sandbox = sandbox(Settings::default());
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let mut nexus = Nexus::at_with(&sandbox, &format!("redirect_uri = \"http://127.0.0.1:{port}/callback\""));
    let opened = nexus.path("opened");
    nexus.write("browser", &format!("#!/bin/sh\necho \"$1\" >> {}\n", opened.display()), 0o700);
    nexus.set("BROWSER", &nexus.path("browser").to_string_lossy());
    let output = nexus.run(&["oauth", "start"]);
    assert!(output.code == Some(1) && !output.stderr.contains("browser"), "{output}");
    drop(taken);
    let mut started = nexus.start(&[]);
    let url = started.url();
    // If the first command had opened a browser, there would be two lines.
    assert_eq!(written(&opened), format!("{url}\n"));
    started.kill();
}
