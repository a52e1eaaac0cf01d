/* A load generator for benchmarks/gate.py: requests over kept or new connections, through a proxy or straight.
 *
 *   load key=value …
 *     mode=keep|new|bulk|events|tunnels   what is done (below)
 *     to=HOST:PORT         where to connect: the upstream, or the proxy
 *     name=HOST            SNI, the name verified, and Host (host=HOST:PORT: another Host)
 *     connect=HOST:PORT    send CONNECT first
 *     tls=1 ca=FILE        TLS, verified by these authorities
 *     path=/P header="N: V"  the request; body=BYTES makes it a POST
 *     vary=1               every request of keep asks for another path and has a body of another length
 *     connections=N requests=N rate=PER_SECOND hold=1
 *
 * keep: N connections, each one request after another. new: a connection for each request. bulk: one answer, whole.
 * events: one answer whose lines hold `data: NANOSECONDS` (CLOCK_MONOTONIC), how late each is.
 * tunnels: open N connections with one request each, say so, hold them until standard input ends.
 * Prints one line of JSON. Single-threaded epoll for `keep`; blocking otherwise.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static const char *opt(int argc, char **argv, const char *name, const char *usual) {
    size_t n = strlen(name);
    for (int i = 1; i < argc; i++)
        if (!strncmp(argv[i], name, n) && argv[i][n] == '=') return argv[i] + n + 1;
    return usual;
}

static void fail(const char *what) {
    fprintf(stderr, "load: %s (%s)\n", what, strerror(errno));
    ERR_print_errors_fp(stderr);
    exit(1);
}

static long long now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static struct sockaddr_in place;
static const char *name, *connect_to;
static SSL_CTX *context;
static char request[1 << 20];
static int request_size;
static const char *method, *path, *host_field, *header;
static int body, vary;

/* What an SDK sends: a dozen header lines. */
static void compose(long number) {
    char place[4096];
    int n, size = vary ? body - (int)(number * 37 % (body / 2)) : body;
    if (vary) snprintf(place, sizeof place, "%s/%ld", path, number);
    n = snprintf(request, sizeof request,
        "%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: load/1.0\r\nAccept: application/json\r\nAccept-Encoding: gzip, deflate\r\n"
        "Accept-Language: *\r\nX-Stainless-Lang: js\r\nX-Stainless-Package-Version: 0.60.0\r\nX-Stainless-OS: Linux\r\n"
        "X-Stainless-Arch: x64\r\nX-Stainless-Runtime: node\r\nAnthropic-Version: 2023-06-01\r\nConnection: keep-alive\r\n",
        method, vary ? place : path, host_field);
    if (*header) n += snprintf(request + n, 4096, "%s\r\n", header);
    if (body) n += snprintf(request + n, 4096, "Content-Type: application/json\r\nContent-Length: %d\r\n", size);
    n += snprintf(request + n, 16, "\r\n");
    if (body) { /* what a model's API takes, as long as asked for */
        static const char front[] = "{\"model\":\"m\",\"max_tokens\":16,\"messages\":[{\"role\":\"user\",\"content\":\"", back[] = "\"}]}";
        int room = size - (int)(sizeof front + sizeof back - 2);
        if (room < 0) { fprintf(stderr, "load: body is too short\n"); exit(1); }
        memcpy(request + n, front, sizeof front - 1);
        memset(request + n + sizeof front - 1, 'x', room);
        memcpy(request + n + sizeof front - 1 + room, back, sizeof back - 1);
        n += size;
    }
    request_size = n;
}

struct conn {
    int fd;
    SSL *ssl;
    char *buf;
    int have;
    long long left, began, due; /* body bytes to come; -1: head not complete; -2: chunked */
};

#define ROOM (1 << 18)

static int get(struct conn *c, char *to, int size) {
    if (!c->ssl) return (int)recv(c->fd, to, size, 0);
    int n = SSL_read(c->ssl, to, size);
    if (n > 0) return n;
    int why = SSL_get_error(c->ssl, n);
    if (why == SSL_ERROR_WANT_READ) { errno = EAGAIN; return -1; }
    return why == SSL_ERROR_ZERO_RETURN ? 0 : (errno = EIO, -1);
}

static void put(struct conn *c, const char *from, int size) {
    while (size) {
        int n = c->ssl ? SSL_write(c->ssl, from, size) : (int)send(c->fd, from, size, MSG_NOSIGNAL);
        if (n <= 0) {
            if (!c->ssl && errno != EAGAIN) fail("send");
            if (c->ssl && SSL_get_error(c->ssl, n) != SSL_ERROR_WANT_WRITE) fail("SSL_write");
            continue;
        }
        from += n; size -= n;
    }
}

static void begin(struct conn *c) {
    int one = 1;
    memset(c, 0, sizeof *c);
    c->buf = malloc(ROOM + 1);
    c->left = -1;
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(c->fd, (struct sockaddr *)&place, sizeof place)) fail("connect");
    if (connect_to) {
        char line[512], answer[4096];
        int n = snprintf(line, sizeof line, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", connect_to, connect_to), have = 0;
        put(c, line, n);
        while (!memmem(answer, have, "\r\n\r\n", 4)) {
            n = get(c, answer + have, 1); /* not a byte too much */
            if (n <= 0 || have > 4000) fail("CONNECT");
            have += n;
        }
        if (memcmp(answer + 8, " 200", 4)) { answer[have] = 0; fprintf(stderr, "%s", answer); fail("CONNECT refused"); }
    }
    if (context) {
        c->ssl = SSL_new(context);
        SSL_set_fd(c->ssl, c->fd);
        SSL_set_tlsext_host_name(c->ssl, name);
        SSL_set1_host(c->ssl, name);
        if (SSL_connect(c->ssl) != 1) fail("TLS handshake");
    }
}

static void end(struct conn *c) {
    if (c->ssl) { SSL_shutdown(c->ssl); SSL_free(c->ssl); }
    close(c->fd);
    free(c->buf);
}

/* Take what has arrived; returns 1 when the answer is whole. Bodies are thrown away. */
static int advance(struct conn *c) {
    if (c->left == -1) {
        c->buf[c->have] = 0;
        char *e = memmem(c->buf, c->have, "\r\n\r\n", 4);
        if (!e) return 0;
        if (memcmp(c->buf + 8, " 200", 4)) { fprintf(stderr, "%.300s\n", c->buf); fail("not 200"); }
        char *at = strcasestr(c->buf, "\r\ncontent-length:");
        int head = (int)(e + 4 - c->buf);
        if (at && at < e) c->left = atoll(at + 17) - (c->have - head);
        else if (strcasestr(c->buf, "\r\ntransfer-encoding: chunked")) c->left = -2;
        else fail("an answer without length");
        memmove(c->buf, c->buf + head, c->have - head);
        c->have -= head;
        if (c->left >= 0) { c->have = 0; }
    } 
    if (c->left == -2) {
        if (c->have >= 5 && !memcmp(c->buf + c->have - 5, "0\r\n\r\n", 5)) { c->have = 0; c->left = 0; }
        else if (c->have > 64) { memmove(c->buf, c->buf + c->have - 64, 64); c->have = 64; }
    }
    if (c->left == 0) { c->left = -1; c->have = 0; return 1; }
    return 0;
}

/* Read on until the answer is whole (1), or nothing more is there yet (0). */
static int answered(struct conn *c) {
    for (;;) {
        int n = get(c, c->buf + c->have, ROOM - c->have);
        if (n < 0 && errno == EAGAIN) return 0;
        if (n <= 0) fail("the connection ended");
        if (c->left > 0) c->left -= n; else c->have += n;
        if (advance(c)) return 1;
    }
}

static int by_value(const void *a, const void *b) {
    long long x = *(const long long *)a, y = *(const long long *)b;
    return x < y ? -1 : x > y;
}

static void told(long long *took, long count, double seconds, long long bytes) {
    qsort(took, count, sizeof *took, by_value);
    printf("{\"requests\":%ld,\"seconds\":%.6f,\"bytes\":%lld", count, seconds, bytes);
    if (count) printf(",\"p50\":%.1f,\"p99\":%.1f", took[count / 2] / 1e3, took[count * 99 / 100] / 1e3);
    printf("}\n");
}

static void keep(int connections, long requests, double rate) {
    struct conn *all = calloc(connections, sizeof *all);
    long long *took = calloc(requests + connections, sizeof *took);
    int ep = epoll_create1(0);
    for (int i = 0; i < connections; i++) {
        begin(&all[i]);
        struct epoll_event ev = {.events = EPOLLIN, .data.ptr = &all[i]};
        fcntl(all[i].fd, F_SETFL, O_NONBLOCK);
        epoll_ctl(ep, EPOLL_CTL_ADD, all[i].fd, &ev);
    }
    long sent = 0, done = 0;
    long long start = now();
    for (int i = 0; i < connections && sent < requests; i++, sent++) { if (vary) compose(sent); all[i].began = now(); put(&all[i], request, request_size); }
    while (done < requests) {
        struct epoll_event evs[64];
        int n = epoll_wait(ep, evs, 64, 10000);
        if (n <= 0) fail("nothing came in 10 s");
        for (int i = 0; i < n; i++) {
            struct conn *c = evs[i].data.ptr;
            if (!answered(c)) continue;
            took[done++] = now() - c->began;
            if (sent < requests) {
                if (rate > 0) { /* one connection: wait for the next moment */
                    long long due = start + (long long)(sent * 1e9 / rate), left = due - now();
                    struct timespec t = {left / 1000000000LL, left % 1000000000LL};
                    if (left > 0) nanosleep(&t, NULL);
                }
                if (vary) compose(sent);
                c->began = now();
                put(c, request, request_size);
                sent++;
            }
        }
    }
    double seconds = (now() - start) / 1e9;
    told(took, done, seconds, 0);
    for (int i = 0; i < connections; i++) end(&all[i]);
}

static void anew(long requests) {
    long long *took = calloc(requests, sizeof *took), start = now();
    for (long i = 0; i < requests; i++) {
        struct conn c;
        long long began = now();
        begin(&c);
        put(&c, request, request_size);
        if (!answered(&c)) fail("no answer");
        took[i] = now() - began;
        end(&c);
    }
    told(took, requests, (now() - start) / 1e9, 0);
}

static void bulk(void) {
    struct conn c;
    begin(&c);
    long long start = now(), bytes = 0;
    put(&c, request, request_size);
    for (;;) {
        int n = get(&c, c.buf + c.have, ROOM - c.have);
        if (n <= 0) fail("the connection ended");
        bytes += n;
        if (c.left > 0) c.left -= n; else c.have += n;
        if (advance(&c)) break;
    }
    told(NULL, 0, (now() - start) / 1e9, bytes);
    end(&c);
}

static void events(void) {
    struct conn c;
    begin(&c);
    static long long late[1 << 16];
    long count = 0;
    long long start = now();
    put(&c, request, request_size);
    int have = 0, finished = 0;
    while (!finished) {
        int n = get(&c, c.buf + have, ROOM - have);
        if (n <= 0) break;
        long long at = now();
        have += n;
        c.buf[have] = 0;
        char *line = c.buf, *e;
        while ((e = strstr(line, "\n"))) {
            char *data = memmem(line, e - line, "data: ", 6);
            if (data && count < 1 << 16) late[count++] = at - atoll(data + 6);
            if (e - line <= 2 && line[0] == '0') finished = 1;
            line = e + 1;
        }
        have -= (int)(line - c.buf);
        memmove(c.buf, line, have);
    }
    told(late, count, (now() - start) / 1e9, 0);
    end(&c);
}

static void tunnels(int connections) {
    struct conn *all = calloc(connections, sizeof *all);
    for (int i = 0; i < connections; i++) {
        begin(&all[i]);
        put(&all[i], request, request_size);
        if (!answered(&all[i])) fail("no answer");
    }
    printf("{\"open\":%d}\n", connections);
    fflush(stdout);
    char c;
    while (read(0, &c, 1) > 0) {}
}

int main(int argc, char **argv) {
    char host[256];
    const char *to = opt(argc, argv, "to", "127.0.0.1:443"), *mode = opt(argc, argv, "mode", "keep");
    const char *colon = strrchr(to, ':');
    snprintf(host, sizeof host, "%.*s", (int)(colon - to), to);
    place.sin_family = AF_INET;
    place.sin_port = htons(atoi(colon + 1));
    inet_pton(AF_INET, host, &place.sin_addr);
    name = opt(argc, argv, "name", host);
    connect_to = opt(argc, argv, "connect", NULL);
    if (atoi(opt(argc, argv, "tls", "0"))) {
        context = SSL_CTX_new(TLS_client_method());
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
        if (SSL_CTX_load_verify_locations(context, opt(argc, argv, "ca", NULL), NULL) != 1) fail("ca");
        static const unsigned char alpn[] = "\x08http/1.1";
        SSL_CTX_set_alpn_protos(context, alpn, 9);
        SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
        SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    }
    body = atoi(opt(argc, argv, "body", "0"));
    vary = atoi(opt(argc, argv, "vary", "0"));
    if (vary && body < 400) fail("vary needs a body of 400 bytes or more");
    method = body ? "POST" : "GET";
    path = opt(argc, argv, "path", "/");
    host_field = opt(argc, argv, "host", name);
    header = opt(argc, argv, "header", "");
    compose(0);
    long requests = atol(opt(argc, argv, "requests", "1000"));
    int connections = atoi(opt(argc, argv, "connections", "1"));
    if (!strcmp(mode, "keep")) keep(connections, requests, atof(opt(argc, argv, "rate", "0")));
    else if (!strcmp(mode, "new")) anew(requests);
    else if (!strcmp(mode, "bulk")) bulk();
    else if (!strcmp(mode, "events")) events();
    else if (!strcmp(mode, "tunnels")) tunnels(connections);
    else fail("mode");
    return 0;
}
