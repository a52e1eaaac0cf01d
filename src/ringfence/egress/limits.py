"""Every limit of the gate, with its name: sizes in bytes, times in seconds."""

CONNECTIONS = 1024  # from the boundary at one time; one more is closed at once
STRANGERS = 512  # connections at one time that are not recognised yet, of a service for many
DIALS = 128  # upstream connections being made at one time

HEAD = 64 * 1024  # a request's or response's head; Claude Code's longest is 3 KB, GitHub's answer 6 KB
TARGET = 32 * 1024  # a request's target
FIELDS = 200  # header lines in one head
HEAD_KEPT = 4 * 1024  # the longest head that a connection remembers for the next one; Claude Code's have 3 KB
LINES_KEPT = 4096  # header lines whose reading is kept, for all connections together
LINE_KEPT = 160  # the longest of them
CHUNK_LINE = 1024  # a chunk's size and extension
CHUNK_EXTENSIONS = 16 * 1024  # all extensions of one body together
TRAILERS = 8 * 1024
INFORMATIONAL = 16  # 1xx answers before the real one
HELLO = 64 * 1024  # a ClientHello; post-quantum key shares need 2 KB
BUFFER = 128 * 1024  # read and not yet taken, per connection, before reading pauses
TURN = 64 * 1024  # written to one connection in one turn of the event loop, before it is sent at once
WRITE_BUFFER = 256 * 1024  # written and not yet taken by the kernel, before the sender waits
BULK = 1024 * 1024  # one way through a tunnel, before what follows is carried in bulk
PIPES = 32  # directions carried in bulk at one time; more are carried like the rest
PIPE = 1024 * 1024  # the size of the pipe for each
GRAPHQL_BODY = 1024 * 1024  # a GraphQL request that a rule looks into
GRAPHQL_TOKENS = 10_000  # of its document
LFS_BODY = 1024 * 1024  # a git LFS batch
GIT_COMMANDS = 64 * 1024  # the list of refs that a push changes
DRAIN = 256 * 1024  # of a refused request's body, read so that the refusal arrives
BOUND_HOSTS = 1024  # hosts that fell under a credential's pattern, before they are forgotten
HELD_BODY = 16 * 1024 * 1024  # a request's body that is held whole to put its credential in
HELD_BODIES = 128 * 1024 * 1024  # all at one time: these, those looked into, those people are asked about

H2_STREAMS = 100  # requests under way on one HTTP/2 connection
EXCHANGES = 1024  # requests under way in one session, before more are refused on their HTTP/2 streams
H2_FRAME = 16 * 1024  # one frame's payload, as every peer may send it (RFC 9113 §4.2)
H2_WINDOW = 256 * 1024  # what a peer may send on one stream before the reader has taken it
H2_CONNECTION_WINDOW = 1024 * 1024  # the same for all streams of an agent's connection together
H2_UPSTREAM_WINDOW = 16 * 1024 * 1024  # and of an upstream's, whose streams belong to different readers
H2_UPSTREAM_STREAMS = 64  # requests under way on one connection to an upstream
H2_LAST_STREAM = 2**30  # no new requests on a connection that has numbered so many
H2_PROTOCOL_KEPT = 600.0  # how long it is remembered that an upstream speaks HTTP/1.1 only
H2_OUT = 64 * 1024  # written to one stream and not sent yet, before the sender waits
H2_SETTINGS = 64  # settings in one frame
H2_WORK = 4000.0  # frames that move nothing on, at once
H2_WORK_RATE = 400.0  # and per second thereafter
H2_RESETS = 500.0  # streams that a peer resets, or makes us reset, at once
H2_RESETS_RATE = 30.0  # and per second thereafter

HEAD_TIME = 30.0  # from a head's first byte to its end
IDLE_TIME = 300.0  # between two requests of one connection
HELLO_TIME = 30.0  # from CONNECT or accept to the end of the ClientHello
HANDSHAKE_TIME = 15.0
BODY_TIME = 120.0  # between two pieces of a request's body
ANSWER_TIME = 1200.0  # until an upstream answers: a model may think for a quarter of an hour
STREAM_TIME = 1200.0  # between two pieces of an answer
WRITE_TIME = 600.0  # until a slow reader takes what is written
TUNNEL_TIME = 3600.0  # between two bytes in either direction of a spliced tunnel or WebSocket
DIAL_TIME = 10.0  # one address
DIAL_STAGGER = 0.3  # before the next address is tried beside the first
DIAL_ADDRESSES = 6  # tried for one host
RESOLVE_TIME = 15.0
LOOKUP_TRIES = (2.0, 4.0)  # for a nameserver of the policy's to answer, each time it is asked
LOOKUP_RECORDS = 256  # in one answer
LOOKUP_ALIASES = 16  # followed from one name
PARENT_TIME = 30.0  # for an upstream proxy to make a connection
REFUSE_TIME = 2.0  # for a refused request's body to drain

RESOLVED_KEPT = 30.0  # how long an answer of the resolver is used
RESOLVED_NAMES = 1024
POOL_IDLE = 55.0  # an upstream connection waiting for the next request
POOL_IDLE_ONCE = 20.0  # the same, for a request that could not be repeated if it met a dying connection
POOL_HOST = 16  # waiting connections per host and credential
CONTEXTS = 1000  # certificates kept, least recently used out

DNS_NAMES = 65536  # addresses handed out in one session
SECRET_TIME = 30.0  # for a credential's source

STOP_TIME = 1.0  # for exchanges under way when the session ends
REFUSALS_BURST = 1000  # refusal records at once, before they are counted instead of written
REFUSALS_RATE = 100.0  # and per second thereafter

DECODED_PIECE = 16 * 1024 * 1024  # what one piece of a compressed body may unfold into
ARCHIVES = 8  # gzip files looked into in one request's body
WATCH_OVERLAP = 4096  # bytes of unfolded text kept, so that a value across two pieces is found
USAGE_ANSWER = 8 * 1024 * 1024  # of a model's answer kept to read its usage at the end
USAGE_EVENT = 1024 * 1024  # one event of a model's answer
ASKED_BODY = 1024 * 1024  # a body that is held whole while a person is asked; of a longer one less is shown
ASKED_TIME = 10.0  # for it to arrive; of one that takes longer less is shown
SHOWN_BODY = 4096  # of a body that a person is shown
QUESTIONS = 64  # requests that wait for a person at one time
APPROVER_TIME = 3600.0  # one `ringfence approve` may stay connected

# A service that stays
DRAIN_TIME = 30.0  # for what is under way when it is told to stop
CONTEXTS_AGE = 10 * 86400.0  # until certificates are made anew; they are valid for thirty days
ADMIN_HEAD = 8 * 1024  # a request to the admin listener
ADMIN_TIME = 5.0
ADMIN_CONNECTIONS = 64
ACCESS_LINES = 10_000  # of the access log that wait to be written, before more are counted instead
ACCESS_BATCH = 500  # of them written at one time
ACCESS_TIME = 1.0  # for what waits when the service ends
