//! The application of the suite as a handler of WASI 0.3, in Rust.

use wasip3::clocks::monotonic_clock;
use wasip3::http::client;
use wasip3::http::types::{ErrorCode, Fields, Request, Response, Scheme};
use wasip3::wit_bindgen::StreamReader;
use wasip3::{spawn_local, wit_future, wit_stream};

struct Application;

wasip3::http::service::export!(Application);

impl wasip3::exports::http::handler::Guest for Application {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let target = request.get_path_with_query().unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        match path {
            "/hello" => Ok(text(200, "text/plain", "Hello, World!".into())),
            "/echo" => Ok(echo(request)),
            "/json" => Ok(greet(request).await),
            "/fetch" => Ok(fetch(query.strip_prefix("url=").unwrap_or_default()).await),
            "/trap" => panic!("as it was asked to"),
            "/slow" => {
                monotonic_clock::wait_for(300_000_000).await;
                Ok(text(200, "text/plain", "At last".into()))
            }
            _ => Ok(text(404, "text/plain", "nothing is here".into())),
        }
    }
}

fn answer(status: u16, kind: Option<Vec<u8>>, body: StreamReader<u8>) -> Response {
    let fields = Fields::new();
    if let Some(kind) = kind {
        fields.append("content-type", &kind).expect("a field that may be set");
    }
    let (end, trailers) = wit_future::new(|| Ok(None));
    let (response, _sent) = Response::new(fields, Some(body), trailers);
    response.set_status_code(status).expect("a status");
    drop(end);
    response
}

fn text(status: u16, kind: &str, text: String) -> Response {
    let (mut body, contents) = wit_stream::new();
    spawn_local(async move {
        body.write_all(text.into_bytes()).await;
    });
    answer(status, Some(kind.into()), contents)
}

fn echo(request: Request) -> Response {
    let kind = request.get_headers().get("content-type").into_iter().next();
    let (_ended, done) = wit_future::new(|| Ok(()));
    let (body, _trailers) = Request::consume_body(request, done);
    answer(200, kind, body)
}

async fn greet(request: Request) -> Response {
    let (_ended, done) = wit_future::new(|| Ok(()));
    let (body, _trailers) = Request::consume_body(request, done);
    let asked = serde_json::from_slice::<serde_json::Value>(&body.collect().await);
    match asked.ok().as_ref().and_then(|asked| asked["name"].as_str()) {
        Some(name) => {
            let greeting = serde_json::json!({"greeting": format!("Hello, {name}!")});
            text(200, "application/json", greeting.to_string())
        }
        None => text(400, "text/plain", "a name is missing".into()),
    }
}

async fn fetch(url: &str) -> Response {
    let rest = url.strip_prefix("http://").unwrap_or(url);
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (_end, trailers) = wit_future::new(|| Ok(None));
    let (request, _sent) = Request::new(Fields::new(), None, trailers, None);
    request.set_scheme(Some(&Scheme::Http)).expect("a scheme");
    request.set_authority(Some(authority)).expect("an authority");
    request.set_path_with_query(Some(&format!("/{path}"))).expect("a path");
    match client::send(request).await {
        Ok(found) => {
            let status = found.get_status_code();
            let (_ended, done) = wit_future::new(|| Ok(()));
            let (body, _trailers) = Response::consume_body(found, done);
            answer(status, None, body)
        }
        Err(error) => text(502, "text/plain", error.to_string()),
    }
}
