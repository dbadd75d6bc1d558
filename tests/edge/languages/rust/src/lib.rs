//! The application of the suite, in Rust.

use serde::{Deserialize, Serialize};
use wstd::http::{Body, Client, Request, Response, Result, StatusCode};
use wstd::time::Duration;

#[derive(Deserialize)]
struct Asked {
    name: String,
}

#[derive(Serialize)]
struct Greeting {
    greeting: String,
}

#[wstd::http_server]
async fn main(request: Request<Body>) -> Result<Response<Body>> {
    match request.uri().path() {
        "/hello" => typed("text/plain", "Hello, World!"),
        "/echo" => echo(request),
        "/json" => greet(request).await,
        "/fetch" => fetch(request).await,
        "/trap" => panic!("as it was asked to"),
        "/slow" => {
            wstd::task::sleep(Duration::from_millis(300)).await;
            typed("text/plain", "At last")
        }
        _ => status(StatusCode::NOT_FOUND, "nothing is here".to_owned()),
    }
}

fn typed(kind: &str, text: impl Into<Body>) -> Result<Response<Body>> {
    Ok(Response::builder().header("content-type", kind).body(text.into())?)
}

fn status(status: StatusCode, text: String) -> Result<Response<Body>> {
    Ok(Response::builder().status(status).body(text.into())?)
}

fn echo(request: Request<Body>) -> Result<Response<Body>> {
    let kind = request.headers().get("content-type").cloned();
    let mut answer = Response::new(request.into_body());
    if let Some(kind) = kind {
        answer.headers_mut().insert("content-type", kind);
    }
    Ok(answer)
}

async fn greet(mut request: Request<Body>) -> Result<Response<Body>> {
    match request.body_mut().json::<Asked>().await {
        Ok(asked) => typed(
            "application/json",
            serde_json::to_string(&Greeting { greeting: format!("Hello, {}!", asked.name) })?,
        ),
        Err(error) => status(StatusCode::BAD_REQUEST, error.to_string()),
    }
}

async fn fetch(request: Request<Body>) -> Result<Response<Body>> {
    let query = request.uri().query().unwrap_or_default();
    let url = query.strip_prefix("url=").unwrap_or_default();
    match Client::new().send(Request::get(url).body(Body::empty())?).await {
        Ok(answer) => {
            let (head, body) = answer.into_parts();
            Ok(Response::builder().status(head.status).body(body)?)
        }
        Err(error) => status(StatusCode::BAD_GATEWAY, error.to_string()),
    }
}
