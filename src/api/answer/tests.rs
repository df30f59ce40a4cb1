//! What an answer waits for, under a clock that goes only as fast as nothing else is left to do.

use std::pin::Pin;
use std::task::{Context, Poll};

use http_body_util::combinators::BoxBody;
use hyper::body::{Body as HttpBody, Bytes, Frame};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use super::*;
use crate::api::client;
use crate::api::tests::exchange;
use crate::provider::Dialect;

const TEXT: &str = "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":\
    {\"type\":\"text_delta\",\"text\":\"hi\"}}\n\n";
const PING: &str = "event: ping\ndata: {\"type\":\"ping\"}\n\n";
const STOP: &str = "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";

/// A body from a channel.
struct Spoken(mpsc::Receiver<&'static str>);

impl HttpBody for Spoken {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, Self::Error>>> {
        self.0
            .poll_recv(context)
            .map(|message| message.map(|message| Ok(Frame::data(Bytes::from_static(message.as_bytes())))))
    }
}

/// An answer that sends each of these texts after a pause in seconds, and then stays silent.
fn answer(dialect: Dialect, message: Vec<(u64, &'static str)>) -> Answer {
    let (send, receive) = mpsc::channel(1);
    tokio::spawn(async move {
        for (seconds, words) in message {
            sleep(Duration::from_secs(seconds)).await;
            send.send(words).await.ok();
        }
        send.closed().await;
    });
    let response = Response::new(BoxBody::new(Spoken(receive)));
    let exchange = exchange();
    Answer {
        status: 200,
        incoming: Incoming::new(response, exchange.silence),
        exchange,
        form: Form::Unknown(Declared::Events, Vec::new()),
        reader: AnswerReader::new(client::dialect(dialect).parser(None)),
        closed: None,
        has_text: false,
        has_thinking: false,
        quiet_until: None,
        is_arriving: false,
        first: None,
        end: None,
        drained: false,
    }
}

fn cut(error: ApiError) -> String {
    match error {
        ApiError::AnswerCut { reason, .. } => reason,
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
    assert_eq!(why, "only keep-alives came for 60 minutes");
    assert_eq!(start.elapsed(), QUIET);

    let mut spaces = answer(Dialect::Anthropic, (0..1_000).map(|_| (10, " ")).collect());
    spaces.form = Form::Unknown(Declared::Json, Vec::new());
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
        assert_eq!(answer.meta().usage.output_tokens, figure);
    }
}

#[tokio::test]
async fn what_is_collected_has_a_limit() {
    let answer = answer(Dialect::Anthropic, Vec::new());
    let mut text = "x".repeat(MAX_COLLECTED - 1);
    assert_eq!(answer.collect(&mut text, "y"), Ok(()));
    let refused = answer.collect(&mut text, "z").expect_err("it is full");
    assert_eq!(refused, ApiError::TooLong { host: "llm.example.com".into(), limit: 64 });
    assert_eq!(text.len(), MAX_COLLECTED);
}

/// The items of a stream until it ends.
async fn items(answer: &mut Answer) -> Vec<Result<Delta>> {
    let mut items = Vec::new();
    while let Some(item) = poll_fn(|context| Pin::new(&mut *answer).poll_next(context)).await {
        items.push(item);
    }
    items
}

#[tokio::test(start_paused = true)]
async fn as_a_stream_it_ends_after_its_last_delta_or_its_first_error() {
    let hi = || Ok(Delta::Text("hi".into()));
    let mut whole = answer(Dialect::Anthropic, vec![(1, TEXT), (1, PING), (1, TEXT), (1, STOP)]);
    whole.begin().await.expect("it begins");
    assert_eq!(items(&mut whole).await, [hi(), hi()]);
    assert_eq!(whole.next().await, Ok(None));

    let mut silent = answer(Dialect::Anthropic, vec![(1, TEXT)]);
    let error = ApiError::AnswerCut { host: "llm.example.com".into(), reason: "nothing came for 90 seconds".into() };
    assert_eq!(items(&mut silent).await, [hi(), Err(error.clone())]);
    assert_eq!(items(&mut silent).await, []);
    assert_eq!(silent.next().await, Err(error));
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_is_given_up_and_begun_again_loses_nothing() {
    let start = Instant::now();
    let mut slow = answer(Dialect::Anthropic, vec![(80, TEXT), (80, STOP)]);
    let mut text = String::new();
    loop {
        match timeout(Duration::from_secs(7), slow.next()).await {
            Ok(Ok(Some(Delta::Text(more)))) => text += &more,
            Ok(end) => break assert_eq!(end, Ok(None)),
            Err(_) => {}
        }
    }
    assert_eq!((&*text, start.elapsed()), ("hi", Duration::from_secs(160)));
}

#[tokio::test(start_paused = true)]
async fn what_came_together_is_had_without_waiting() {
    const TOGETHER: &str = concat!(
        "data: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\"text\":\"a\"}}\n\n",
        "data: {\"type\":\"ping\"}\n\n",
        "data: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\"text\":\"b\"}}\n\nda",
    );
    const BROKEN: &str = concat!(
        "ta: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\"text\":\"c\"}}\n\n",
        "event: content_block_delta\ndata: nonsense\n\n",
    );
    let text = |text: &str| Some(Delta::Text(text.into()));
    let mut answer = answer(Dialect::Anthropic, vec![(1, TOGETHER), (1, BROKEN)]);
    assert_eq!(answer.next_received(), None);
    answer.begin().await.expect("it begins");
    assert_eq!((answer.next_received(), answer.next_received()), (text("a"), text("b")));
    assert_eq!(answer.next_received(), None);
    assert_eq!(answer.next().await, Ok(text("c")));
    // The error comes after the text before it.
    assert_eq!(answer.next_received(), None);
    assert!(cut(answer.next().await.expect_err("it is broken")).starts_with("it goes on"));
    assert_eq!(answer.next_received(), None);
}

#[tokio::test(start_paused = true)]
async fn silence_is_counted_only_while_it_is_waited_for() {
    let mut slow = answer(Dialect::Anthropic, vec![(1, TEXT), (160, TEXT), (80, STOP)]);
    assert_eq!(slow.next().await, Ok(Some(Delta::Text("hi".into()))));
    sleep(Duration::from_secs(120)).await;
    assert_eq!(slow.text().await, Ok("hi".into()));
}

#[test]
fn a_stream_can_be_sent_and_moved() {
    fn stream<T: Stream + Send + Unpin>() {}
    stream::<Answer>();
}
