//! `nexus oauth start --device`: the user approves the sign-in on another device (RFC 8628).

use super::{Attempt, SignIn, fetch_models, greeting, host_of, registered_anew, registering};
use crate::cli::context::Context;
use crate::cli::error::{CliError, Result};
use nexus::error::SignInError;
use nexus::internal::provider::host;
use nexus::internal::time;
use nexus::{Client, DeviceAuthorization, Error, RegisteredClient};

/// Signs in once. `anew` registers a new client even if there is one.
pub(super) async fn attempt(sign_in: &SignIn<'_>, anew: bool) -> Result<Attempt> {
    let SignIn { args, context, client, check, saved } = *sign_in;
    let (authorization, is_old) = begin(context, client, anew).await?;
    let authorization = match args.timeout {
        Some(timeout) => authorization.with_limit(timeout),
        None => authorization,
    };
    show(context, &authorization);
    check()?;
    let progress = context.progress();
    context.waiting(format!("waiting for approval at {}", host(authorization.verification_uri())));
    let signed_in = client.redeem_device("", authorization).await;
    drop(progress);
    match signed_in {
        Ok(session) => {
            context.say(&greeting(&session, client));
            saved();
            fetch_models(client, &session, context).await;
            Ok(Attempt::SignedIn)
        }
        Err(Error::SignIn(refused)) if is_old && refused.is_about_device_client() => {
            context.note(&registered_anew(&refused));
            Ok(Attempt::ClientRefused)
        }
        Err(error) => Err(error.into()),
    }
}

/// Requests the codes. A provider without a client registers one. Returns whether the client was registered by an
/// earlier sign-in.
async fn begin(context: &Context, client: &Client, anew: bool) -> Result<(DeviceAuthorization, bool)> {
    if !client.registers_itself() {
        return Ok((request(context, client, None).await?, false));
    }
    let known = if anew { None } else { client.registered_client().await? };
    if let Some(known) = known {
        match request(context, client, Some(known)).await {
            // It may have been registered for the browser only.
            Err(Error::SignIn(refused)) if refused.is_about_device_client() => context.note(&registered_anew(&refused)),
            begun => return Ok((begun?, true)),
        }
    }
    let registered = registering(context, client.provider(), client.register_device_client()).await?;
    Ok((request(context, client, Some(registered)).await?, false))
}

async fn request(
    context: &Context,
    client: &Client,
    registered: Option<RegisteredClient>,
) -> std::result::Result<DeviceAuthorization, Error> {
    let _progress = context.progress();
    context.waiting(format!("asking {} for a code", host_of(client.provider().device_url.as_ref())));
    match registered {
        Some(registered) => client.authorize_device_as(registered).await,
        None => client.authorize_device().await,
    }
}

/// Whether the server does not have the device flow, or not for this client.
pub(super) fn is_impossible(error: &CliError) -> bool {
    let CliError::Library(Error::SignIn(error)) = error else { return false };
    match error {
        // With another client, the browser would not work either.
        SignInError::ClientRefused { .. } => false,
        SignInError::DeviceRequestFailed { failure, .. } => matches!(failure.status, Some(404 | 405 | 410 | 501)),
        // A client that may use the device flow cannot be registered.
        SignInError::RegistrationFailed { error, .. } => error == "invalid_client_metadata",
        refused => refused.is_about_device_client(),
    }
}

/// Shows where to enter which code. A QR code must not push these off the screen.
fn show(context: &Context, authorization: &DeviceAuthorization) {
    let (uri, code) = (authorization.verification_uri(), grouped(authorization.user_code()));
    let is_grouped = code != authorization.user_code();
    let spaces = "\nSpaces in the code are only for reading; leave them out if the page does not accept them.";
    let what = format!(
        "To sign in, open this URL in a browser on any device:\n\n{uri}\n\nand enter this code:\n\n{code}\n{}",
        if is_grouped { spaces } else { "" }
    );
    let until = format!(
        "The page must be at {}. Only continue if you started this sign-in yourself.\n\
         Waiting for approval, for up to {} (Ctrl-C cancels).",
        host(uri),
        time::span(time::rounded_up(authorization.lifetime()))
    );
    context.say(&what);
    let qr_code = "The QR code opens the page with this code in it.";
    if let Some(complete) = authorization.verification_uri_complete()
        && context.show_qr_code(complete.as_str(), &[&what, qr_code, &until])
    {
        context.say(qr_code);
    }
    context.say(&until);
}

/// A code in groups of letters, which are easier to read. A code that the server has grouped stays as it is.
fn grouped(code: &str) -> String {
    let size = match code.len() {
        0..=5 => return code.to_owned(),
        length if length % 4 == 0 => 4,
        length if length % 3 == 0 => 3,
        _ => return code.to_owned(),
    };
    if !code.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return code.to_owned();
    }
    let mut shown = String::new();
    for (at, letter) in code.chars().enumerate() {
        if at > 0 && at % size == 0 {
            shown.push(' ');
        }
        shown.push(letter);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_codes_are_grouped_for_reading() {
        for (code, shown) in [
            ("WDJB-MJHT", "WDJB-MJHT"),
            ("WDJBMJHT", "WDJB MJHT"),
            ("123456789", "123 456 789"),
            ("123456", "123 456"),
            ("12345", "12345"),
            ("1234567", "1234567"),
            ("AB CD EF GH", "AB CD EF GH"),
        ] {
            assert_eq!(grouped(code), shown);
        }
    }
}
