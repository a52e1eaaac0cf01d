"""A scripted Messages API: the model's part of a conversation, played from a list of steps.

It is what the tests, the demo and curious users start in place of api.anthropic.com: real TLS on
loopback under an authority of its own, server-sent events sent one at a time, every request kept
whole. It knows nothing of ringfence.

    python -m fake_api --script fix-bug --port-file F --record F.jsonl
"""
