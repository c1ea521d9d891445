/* http.h - a small web server on this machine alone (127.0.0.1), through libmicrohttpd where that was there when the program was
   built. It answers GET and HEAD; everything else, other hosts' names and bodies are refused, requests are bounded in size, time and
   number. All requests are answered on the thread that calls http_wait, one after the other. Local. */
#ifndef TABLES_HTTP_H
#define TABLES_HTTP_H

#include <stddef.h>
#include <stdint.h>

#include "core/fail.h"

enum { HTTP_REQUEST_BYTES = 16384 }; /* line and headers of a request, and what its answer needs beside the body */

typedef struct {
    int port; /* 0 = any that is free; then the one that was taken */
    int connections;
    int timeout_seconds;
} HttpLimits;

typedef struct {
    int status;       /* 200, 400, 404, ... */
    const char *type; /* "application/json" */
    void *body;       /* malloc'ed, or of ever (`keep`) */
    size_t bytes;
    bool keep; /* the body is not to be freed */
} HttpAnswer;

typedef struct HttpRequest HttpRequest;
/* A value of the query, decoded; NULL = it is not there. */
const char *http_value(const HttpRequest *r, const char *name);

/* Fills the answer to a path ("/api/run"). A failed Status becomes 500 with its text in the log, not in the answer. */
typedef Status (*HttpHandler)(HttpAnswer *out, const HttpRequest *r, const char *path, void *context);

bool http_available(void);
/* E_CONFIG where the program was built without libmicrohttpd; E_OUTPUT when the port is taken. */
Status http_open(void **server, HttpLimits *limits, HttpHandler handler, void *context);
/* Answers what has come, and waits for more, some tenths of a second at most. */
Status http_wait(void *server);
void http_close(void *server); /* NULL-safe */

#endif
