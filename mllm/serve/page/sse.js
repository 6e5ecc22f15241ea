// @ts-check
// Server-sent events: a body in, the data of one event after the other out.

/** @param {ReadableStream<Uint8Array>} body @returns {AsyncGenerator<string>} */
export async function* eventsOf(body) {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const lines = (rest + decoder.decode(value, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) if (line.startsWith("data:")) yield line.slice(5).trim();
    }
  } finally {
    reader.cancel().catch(() => {}); // whoever reads no further wants no more of it
  }
}
