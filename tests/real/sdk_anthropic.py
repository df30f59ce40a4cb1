"""A program with the official Anthropic SDK for Python, as `nexus exec` runs it. Prints a streamed answer, and the error
for a wrong key."""

import json

import anthropic

question = {"model": "claude-real-run", "max_tokens": 100, "messages": [{"role": "user", "content": "tell me a story"}]}
with anthropic.Anthropic().messages.stream(**question) as stream:
    streamed = "".join(stream.text_stream)
try:
    anthropic.Anthropic(auth_token="wrong").messages.create(**question)
    refused = None
except anthropic.AuthenticationError as error:
    refused = error.status_code
print(json.dumps({"streamed": streamed, "refused": refused}))
