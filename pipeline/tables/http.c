/* http.c - libmicrohttpd with a poll of ours: no threads, so that files are read where they were opened. */
#include "tables/http.h"

#include <stdlib.h>
#include <string.h>

#include "core/log.h"

#ifdef HAVE_MICROHTTPD
#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>

struct HttpRequest {
    struct MHD_Connection *connection;
};

typedef struct {
    struct MHD_Daemon *daemon;
    HttpHandler handler;
    void *context;
} Server;

const char *http_value(const HttpRequest *r, const char *name)
{
    return MHD_lookup_connection_value(r->connection, MHD_GET_ARGUMENT_KIND, name);
}

bool http_available(void) { return true; }

static enum MHD_Result send_answer(struct MHD_Connection *c, const HttpAnswer *a)
{
    struct MHD_Response *r =
        MHD_create_response_from_buffer(a->bytes, a->body, a->keep ? MHD_RESPMEM_PERSISTENT : MHD_RESPMEM_MUST_FREE);
    if (!r) {
        if (!a->keep) free(a->body);
        return MHD_NO;
    }
    MHD_add_response_header(r, "Content-Type", a->type);
    MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
    MHD_add_response_header(r, "Referrer-Policy", "no-referrer");
    MHD_add_response_header(
        r, "Content-Security-Policy",
        "default-src 'none'; img-src 'self' data:; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
    if (a->status == MHD_HTTP_METHOD_NOT_ALLOWED) MHD_add_response_header(r, "Allow", "GET, HEAD");
    const enum MHD_Result sent = MHD_queue_response(c, (unsigned)a->status, r);
    MHD_destroy_response(r);
    return sent;
}

static HttpAnswer plain(int status, const char *text)
{
    return (HttpAnswer){status, "text/plain; charset=utf-8", (void *)(uintptr_t)text, strlen(text), true};
}

/* Pages of other hosts may not reach us under a name of theirs that leads here. */
static bool is_own_host(const char *host)
{
    static const char *const own[] = {"127.0.0.1", "localhost"};
    for (size_t i = 0; host && i < 2; i++) {
        const size_t n = strlen(own[i]);
        if (strncmp(host, own[i], n) == 0 &&
            (host[n] == 0 || (host[n] == ':' && host[n + 1 + strspn(host + n + 1, "0123456789")] == 0)))
            return true;
    }
    return false;
}

static enum MHD_Result answer(void *cls, struct MHD_Connection *c, const char *url, const char *method,
                              const char *version, const char *upload, size_t *upload_size, void **state)
{
    static int seen;
    Server *s = cls;
    HttpAnswer a = {.status = 0};
    const HttpRequest request = {c};
    const char *host = MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_HOST);
    (void)version, (void)upload;
    if (!*state) { /* headers alone: the request is not whole yet */
        *state = &seen;
        return MHD_YES;
    }
    if (*upload_size > 0) return MHD_NO; /* nobody asks for a body: the connection is cut */
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
        a = plain(MHD_HTTP_METHOD_NOT_ALLOWED, "this server is read only\n");
    else if (!is_own_host(host))
        a = plain(MHD_HTTP_FORBIDDEN, "this server answers to 127.0.0.1 and localhost only\n");
    else if (s->handler(&a, &request, url, s->context) != OK) {
        log_warn("serve: %s: %s", url, fail_record()->text);
        fail_clear();
        a = plain(MHD_HTTP_INTERNAL_SERVER_ERROR, "this did not work; the log of the server says why\n");
    }
    return send_answer(c, &a);
}

Status http_open(void **server, HttpLimits *limits, HttpHandler handler, void *context)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)limits->port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    Server *s = calloc(1, sizeof *s);
    *server = s;
    if (!s) return FAIL(E_MEMORY, "no memory for a server");
    s->handler = handler;
    s->context = context;
    errno = 0;
    s->daemon = MHD_start_daemon(MHD_NO_FLAG, 0, NULL, NULL, answer, s, MHD_OPTION_SOCK_ADDR, &address,
                                 MHD_OPTION_CONNECTION_LIMIT, (unsigned)limits->connections,
                                 MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)limits->timeout_seconds,
                                 MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HTTP_REQUEST_BYTES, MHD_OPTION_END);
    if (!s->daemon)
        return FAIL(E_OUTPUT, "port %d of 127.0.0.1 cannot be opened: %s; choose another one (serve.port)",
                    limits->port, errno ? strerror(errno) : "no reason given");
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_BIND_PORT);
    if (info) limits->port = info->port;
    return OK;
}

Status http_wait(void *server)
{
    Server *s = server;
    return MHD_run_wait(s->daemon, 200) == MHD_YES ? OK
                                                   : FAIL(E_OUTPUT, "the server cannot go on: %s", strerror(errno));
}

void http_close(void *server)
{
    Server *s = server;
    if (s && s->daemon) MHD_stop_daemon(s->daemon);
    free(s);
}

#else

bool http_available(void) { return false; }

const char *http_value(const HttpRequest *r, const char *name)
{
    (void)r, (void)name;
    return NULL;
}

Status http_open(void **server, HttpLimits *limits, HttpHandler handler, void *context)
{
    (void)limits, (void)handler, (void)context;
    *server = NULL;
    return FAIL(E_CONFIG,
                "this program was built without libmicrohttpd: install it (Debian: libmicrohttpd-dev) and build again; "
                "`astroclip search` and the report need no server");
}

Status http_wait(void *server)
{
    (void)server;
    return OK;
}

void http_close(void *server) { (void)server; }

#endif
