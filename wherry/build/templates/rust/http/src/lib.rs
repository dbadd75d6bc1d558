use wstd::http::{Body, Request, Response, Result};

#[wstd::http_server]
async fn main(request: Request<Body>) -> Result<Response<Body>> {
    let query = request.uri().query().unwrap_or_default();
    let name = query.strip_prefix("name=").unwrap_or("World");
    let answer = Response::builder().header("content-type", "text/plain");
    Ok(answer.body(format!("Hello, {name}!\n").into())?)
}
