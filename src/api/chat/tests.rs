//! What an answer waits for, under a clock that goes only as fast as nothing else is left to do.

use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::{Body as HttpBody, Bytes, Frame};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use super::*;
use crate::provider::Url;

const TEXT: &str = "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":\
    {\"type\":\"text_delta\",\"text\":\"hi\"}}\n\n";
const PING: &str = "event: ping\ndata: {\"type\":\"ping\"}\n\n";
const STOP: &str = "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";

/// A body that somebody else speaks.
struct Spoken(mpsc::Receiver<&'static str>);

impl HttpBody for Spoken {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, Self::Error>>> {
        self.0.poll_recv(context).map(|said| said.map(|said| Ok(Frame::data(Bytes::from_static(said.as_bytes())))))
    }
}

/// An answer that says each of these after so many seconds of silence, and then nothing any more.
fn answer(dialect: Dialect, said: Vec<(u64, &'static str)>) -> Answer {
    let (send, receive) = mpsc::channel(1);
    tokio::spawn(async move {
        for (seconds, words) in said {
            sleep(Duration::from_secs(seconds)).await;
            send.send(words).await.ok();
        }
        send.closed().await;
    });
    let url = Url::parse("https://llm.example.com/").expect("a URL");
    Answer {
        response: Response::from(hyper::Response::new(reqwest::Body::wrap(Spoken(receive)))),
        peer: Peer::new(&url, &AccessToken::new("token".into()), Duration::from_secs(90)),
        form: Form::Events(Decoder::default()),
        reading: Reading::new(dialect, None),
        quiet_until: None,
        first: None,
        end: None,
    }
}

fn cut(failure: Failure) -> String {
    match failure {
        Failure::AnswerCut { why, .. } => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn every_sign_of_life_begins_the_wait_anew_and_silence_ends_it() {
    let start = Instant::now();
    let pings = (0..5).map(|_| (89, PING));
    let mut whole = answer(Dialect::Anthropic, pings.clone().chain([(89, TEXT), (89, STOP)]).collect());
    assert_eq!(whole.text().await, Ok("hi".into()));
    assert_eq!(start.elapsed(), Duration::from_secs(7 * 89));

    let start = Instant::now();
    let mut silent = answer(Dialect::Anthropic, pings.chain([(89, TEXT)]).collect());
    assert_eq!(cut(silent.text().await.expect_err("it has no end")), "nothing came for 90 seconds");
    let waited = start.elapsed().as_secs();
    assert_eq!(waited, 6 * 89 + 90);
}

#[tokio::test(start_paused = true)]
async fn signs_of_life_alone_are_no_answer_for_ever() {
    let start = Instant::now();
    let mut thinking = answer(Dialect::Anthropic, (0..1_000).map(|_| (10, PING)).collect());
    let why = cut(thinking.text().await.expect_err("it says nothing"));
    assert_eq!(why, "nothing but signs of life came for 60 minutes");
    assert_eq!(start.elapsed(), QUIET);

    let mut spaces = answer(Dialect::Anthropic, (0..1_000).map(|_| (10, " ")).collect());
    spaces.form = Form::Whole;
    assert_eq!(cut(spaces.text().await.expect_err("it says nothing")), why);

    // What comes meanwhile begins it anew.
    let pings = || (0..300).map(|_| (10, PING));
    let mut slow = answer(Dialect::Anthropic, pings().chain([(1, TEXT)]).chain(pings()).chain([(1, STOP)]).collect());
    assert_eq!(slow.text().await, Ok("hi".into()));
}

#[tokio::test(start_paused = true)]
async fn a_finished_answer_waits_five_seconds_for_its_figures() {
    const SAID: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"hi\"},\"finish_reason\":\"stop\"}]}\n\n";
    const USED: &str = "data: {\"choices\":[],\"usage\":{\"completion_tokens\":7}}\n\n";
    for (rest, seconds, figure) in [(vec![], 5, None), (vec![(4, USED)], 9, Some(7)), (vec![(6, USED)], 5, None)] {
        let start = Instant::now();
        let mut answer = answer(Dialect::Openai, [(1, SAID)].into_iter().chain(rest).collect());
        assert_eq!(answer.text().await, Ok("hi".into()));
        assert_eq!(start.elapsed(), Duration::from_secs(1 + seconds));
        assert_eq!(answer.ending().usage.output_tokens, figure);
    }
}

#[tokio::test]
async fn what_is_collected_has_a_limit() {
    let answer = answer(Dialect::Anthropic, Vec::new());
    let mut text = "x".repeat(MAX_COLLECTED - 1);
    assert_eq!(answer.collect(&mut text, "y"), Ok(()));
    let refused = answer.collect(&mut text, "z").expect_err("it is full");
    assert_eq!(refused, Failure::TooLong { host: "llm.example.com".into(), limit: 64 });
    assert_eq!(text.len(), MAX_COLLECTED);
}
