/*
 * Every operation of ZooKeeper's C client, taken and refused, printed as a transcript that is the same with
 * every server that does as ZooKeeper does: session ids, passwords and times are not printed.
 *
 *     every_op HOST:PORT work FILE      everything but the end; leaves a session open, its id and password
 *                                       in FILE
 *     every_op HOST:PORT resume FILE    takes that session up, after a wrong password, and ends it
 *
 * The server needs zookeeper.extendedTypesEnabled=true. Not in the C client: addWatch, whoAmI.
 */
#define THREADED
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <zookeeper/zookeeper.h>

enum { TIMEOUT_MS = 10000, WAIT_S = 60, FDS_MAX = 256, BUFFER_LEN = 4096 };

static const char *server;
static zhandle_t *zh;    /* the session of most operations */
static zhandle_t *other; /* one whose end and whose changes the first one sees */

static void connecting(void);
static void creating(void);
static void reading(void);
static void writing(void);
static void deleting(void);
static void access_control(void);
static void transactions(void);
static void watching(void);
static void removing_watches(void);
static void pipelining(void);
static void below_a_chroot(void);
static void refused(void);
static void reconnecting(void);
static void another_session_ends(void);
static void leave_open(const char *file);
static void resume(const char *file);

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: %s HOST:PORT work|resume FILE\n", argv[0]);
        return 2;
    }
    server = argv[1];
    zoo_set_debug_level(0); /* The transcript tells what matters. */
    if (strcmp(argv[2], "resume") == 0) {
        resume(argv[3]);
        return 0;
    }
    connecting();
    creating();
    reading();
    writing();
    deleting();
    access_control();
    transactions();
    watching();
    removing_watches();
    pipelining();
    below_a_chroot();
    refused();
    reconnecting();
    another_session_ends();
    leave_open(argv[3]);
    return 0;
}

/* ---- the transcript ---- */

static void heading(const char *text) { printf("\n# %s\n", text); }

/* Prints a call and its result, and gives the result back. */
static int called(int rc, const char *format, ...) __attribute__((format(printf, 2, 3)));
static int called(int rc, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf(" -> %s\n", zerror(rc));
    return rc;
}

static void show_data(const char *buffer, int len)
{
    if (len < 0)
        printf("  data: null\n");
    else
        printf("  data: %d bytes \"%.*s\"\n", len, len, buffer);
}

static void show_stat(const struct Stat *stat)
{
    const int64_t owner = stat->ephemeralOwner;
    printf("  czxid %llx mzxid %llx pzxid %llx version %d cversion %d aversion %d", (long long)stat->czxid,
           (long long)stat->mzxid, (long long)stat->pzxid, stat->version, stat->cversion, stat->aversion);
    printf(" dataLength %d numChildren %d", stat->dataLength, stat->numChildren);
    printf(" times %s", stat->ctime == 0 ? "zero" : stat->mtime >= stat->ctime ? "in order" : "out of order");
    if (owner == zoo_client_id(zh)->client_id)
        printf(" owner: this session\n");
    else if (other && owner == zoo_client_id(other)->client_id)
        printf(" owner: the other session\n");
    else
        printf(" owner %llx\n", (long long)owner);
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

/* Sorted: their order is that of the server's hash table. */
static void show_strings(struct String_vector *strings)
{
    qsort(strings->data, strings->count, sizeof *strings->data, by_name);
    printf("  %d:", strings->count);
    for (int i = 0; i < strings->count; i++)
        printf(" %s", strings->data[i]);
    printf("\n");
}

static void show_acl(const struct ACL_vector *acl)
{
    for (int i = 0; i < acl->count; i++)
        printf("  %s:%s:%d\n", acl->data[i].id.scheme, acl->data[i].id.id, acl->data[i].perms);
}

/* ---- events ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t news = PTHREAD_COND_INITIALIZER;
static char events[64][256];
static int events_count, events_shown;

static const char *type_name(int type)
{
    if (type == ZOO_CREATED_EVENT) return "created";
    if (type == ZOO_DELETED_EVENT) return "deleted";
    if (type == ZOO_CHANGED_EVENT) return "changed";
    if (type == ZOO_CHILD_EVENT) return "child";
    if (type == ZOO_SESSION_EVENT) return "session";
    if (type == ZOO_NOTWATCHING_EVENT) return "not watching";
    return "unknown";
}

static const char *state_name(int state)
{
    if (state == ZOO_EXPIRED_SESSION_STATE) return "expired";
    if (state == ZOO_AUTH_FAILED_STATE) return "authentication failed";
    if (state == ZOO_CONNECTING_STATE) return "connecting";
    if (state == ZOO_ASSOCIATING_STATE) return "associating";
    if (state == ZOO_CONNECTED_STATE) return "connected";
    if (state == ZOO_READONLY_STATE) return "read-only";
    return "unknown";
}

/* The context is the watcher's name. */
static void watcher(zhandle_t *handle, int type, int state, const char *path, void *context)
{
    (void)handle;
    pthread_mutex_lock(&lock);
    if (events_count < (int)(sizeof events / sizeof *events))
        snprintf(events[events_count++], sizeof *events, "%s: %s, %s %s", (const char *)context, type_name(type),
                 state_name(state), path ? path : "");
    pthread_cond_broadcast(&news);
    pthread_mutex_unlock(&lock);
}

static void die(const char *why)
{
    fflush(stdout);
    fprintf(stderr, "every_op: %s\n", why);
    _exit(1);
}

/* Waits until *counter has come to at least target; the caller holds the lock. */
static void wait_until(const int *counter, int target, const char *what)
{
    struct timespec deadline;
    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += WAIT_S;
    while (*counter < target)
        if (pthread_cond_timedwait(&news, &lock, &deadline) == ETIMEDOUT)
            die(what);
}

static int by_text(const void *a, const void *b) { return strcmp(a, b); }

/* Waits for so many events more than were shown already, and prints them, sorted if their order is free. */
static void expect(int count, int order_is_free)
{
    pthread_mutex_lock(&lock);
    wait_until(&events_count, events_shown + count, "an event did not come");
    if (order_is_free)
        qsort(events[events_shown], events_count - events_shown, sizeof *events, by_text);
    while (events_shown < events_count)
        printf("  event for %s\n", events[events_shown++]);
    pthread_mutex_unlock(&lock);
}

static void expect_events(int count) { expect(count, 0); }

static void expect_events_in_any_order(int count) { expect(count, 1); }

/* ---- answers to requests sent without waiting ---- */

static int answers;

static void answered(const char *what, int rc)
{
    printf("%s -> %s\n", what, zerror(rc));
}

static void count_answer(void)
{
    answers++;
    pthread_cond_broadcast(&news);
    pthread_mutex_unlock(&lock);
}

static void on_void(int rc, const void *what)
{
    pthread_mutex_lock(&lock);
    answered(what, rc);
    count_answer();
}

static void on_stat(int rc, const struct Stat *found, const void *what)
{
    pthread_mutex_lock(&lock);
    answered(what, rc);
    if (rc == ZOK)
        show_stat(found);
    count_answer();
}

static void on_data(int rc, const char *data, int len, const struct Stat *found, const void *what)
{
    pthread_mutex_lock(&lock);
    answered(what, rc);
    if (rc == ZOK) {
        show_data(data, len);
        show_stat(found);
    }
    count_answer();
}

static void on_string(int rc, const char *text, const void *what)
{
    pthread_mutex_lock(&lock);
    answered(what, rc);
    if (rc == ZOK)
        printf("  path %s\n", text);
    count_answer();
}

static void on_string_stat(int rc, const char *text, const struct Stat *found, const void *what)
{
    pthread_mutex_lock(&lock);
    answered(what, rc);
    if (rc == ZOK) {
        printf("  path %s\n", text);
        show_stat(found);
    }
    count_answer();
}

static void on_strings(int rc, const struct String_vector *strings, const void *what)
{
    pthread_mutex_lock(&lock);
    answered(what, rc);
    if (rc == ZOK)
        show_strings((struct String_vector *)strings);
    count_answer();
}

static void on_strings_stat(int rc, const struct String_vector *strings, const struct Stat *found, const void *what)
{
    pthread_mutex_lock(&lock);
    answered(what, rc);
    if (rc == ZOK) {
        show_strings((struct String_vector *)strings);
        show_stat(found);
    }
    count_answer();
}

static void on_acl(int rc, struct ACL_vector *acl, struct Stat *found, const void *what)
{
    pthread_mutex_lock(&lock);
    answered(what, rc);
    if (rc == ZOK) {
        show_acl(acl);
        show_stat(found);
    }
    count_answer();
}

static void wait_for_answers(int count)
{
    pthread_mutex_lock(&lock);
    wait_until(&answers, count, "a request was not answered");
    pthread_mutex_unlock(&lock);
}

/* ---- sessions ---- */

static zhandle_t *opened(const char *hosts, const clientid_t *id, const char *name)
{
    zhandle_t *handle = zookeeper_init(hosts, watcher, TIMEOUT_MS, id, (void *)name, 0);
    if (!handle)
        die("no handle");
    return handle;
}

static void connecting(void)
{
    heading("a session");
    zh = opened(server, NULL, "session");
    expect_events(1);
    printf("  timeout %d ms\n", zoo_recv_timeout(zh));
}

/* Shuts the socket below a handle down, as a failing network would. */
static void cut_connections(void)
{
    const int port = atoi(strrchr(server, ':') + 1);
    for (int fd = 3; fd < FDS_MAX; fd++) {
        struct sockaddr_in peer;
        socklen_t len = sizeof peer;
        if (getpeername(fd, (struct sockaddr *)&peer, &len) == 0 && peer.sin_family == AF_INET &&
            ntohs(peer.sin_port) == port)
            shutdown(fd, SHUT_RDWR);
    }
}

/* ---- the operations ---- */

static char buffer[BUFFER_LEN];
static struct Stat stat;

static int create(const char *path, const char *data, int len, int mode)
{
    buffer[0] = 0;
    const int rc = called(zoo_create(zh, path, data, len, &ZOO_OPEN_ACL_UNSAFE, mode, buffer, BUFFER_LEN),
                          "create %s mode %d", path, mode);
    if (rc == ZOK)
        printf("  path %s\n", buffer);
    return rc;
}

static void create2(const char *path, const char *data, int len, int mode)
{
    if (called(zoo_create2(zh, path, data, len, &ZOO_OPEN_ACL_UNSAFE, mode, buffer, BUFFER_LEN, &stat),
               "create2 %s mode %d", path, mode) == ZOK) {
        printf("  path %s\n", buffer);
        show_stat(&stat);
    }
}

static void create_ttl(const char *path, int mode, int64_t ttl)
{
    if (called(zoo_create_ttl(zh, path, "data", 4, &ZOO_OPEN_ACL_UNSAFE, mode, ttl, buffer, BUFFER_LEN),
               "create_ttl %s mode %d ttl %lld", path, mode, (long long)ttl) == ZOK)
        printf("  path %s\n", buffer);
}

static void create2_ttl(const char *path, int mode, int64_t ttl)
{
    if (called(zoo_create2_ttl(zh, path, "data", 4, &ZOO_OPEN_ACL_UNSAFE, mode, ttl, buffer, BUFFER_LEN, &stat),
               "create2_ttl %s mode %d ttl %lld", path, mode, (long long)ttl) == ZOK) {
        printf("  path %s\n", buffer);
        show_stat(&stat);
    }
}

static void get(const char *path)
{
    int len = BUFFER_LEN;
    if (called(zoo_get(zh, path, 0, buffer, &len, &stat), "get %s", path) == ZOK) {
        show_data(buffer, len);
        show_stat(&stat);
    }
}

static void exists(const char *path)
{
    if (called(zoo_exists(zh, path, 0, &stat), "exists %s", path) == ZOK)
        show_stat(&stat);
}

static void set(const char *path, const char *data, int version)
{
    called(zoo_set(zh, path, data, (int)strlen(data), version), "set %s version %d", path, version);
}

static void delete(const char *path, int version)
{
    called(zoo_delete(zh, path, version), "delete %s version %d", path, version);
}

static void get_acl(const char *path)
{
    struct ACL_vector acl;
    if (called(zoo_get_acl(zh, path, &acl, &stat), "get_acl %s", path) == ZOK) {
        show_acl(&acl);
        show_stat(&stat);
        deallocate_ACL_vector(&acl);
    }
}

static void creating(void)
{
    heading("create");
    create("/a", "data", 4, ZOO_PERSISTENT);
    create("/a", "data", 4, ZOO_PERSISTENT);
    create("/null", NULL, -1, ZOO_PERSISTENT);
    create("/empty", "", 0, ZOO_PERSISTENT);
    create("/a/e", "data", 4, ZOO_EPHEMERAL);
    create("/a/e/child", "data", 4, ZOO_PERSISTENT);
    create("/a/s-", "data", 4, ZOO_PERSISTENT_SEQUENTIAL);
    create("/a/es-", "data", 4, ZOO_EPHEMERAL_SEQUENTIAL);
    create("/a/", "data", 4, ZOO_PERSISTENT_SEQUENTIAL);
    create("/container", "data", 4, ZOO_CONTAINER);
    create("/container/child", "data", 4, ZOO_PERSISTENT);
    create("/nope/child", "data", 4, ZOO_PERSISTENT);
    create("/zookeeper", "data", 4, ZOO_PERSISTENT);
    create("/", "data", 4, ZOO_PERSISTENT);
    create("/mode", "data", 4, 9);

    heading("create2");
    create2("/b", "data", 4, ZOO_PERSISTENT);
    create2("/b", "data", 4, ZOO_PERSISTENT);
    create2("/b/e", "data", 4, ZOO_EPHEMERAL);
    create2("/b/s-", "data", 4, ZOO_PERSISTENT_SEQUENTIAL);
    create2("/container2", "data", 4, ZOO_CONTAINER);
    create2("/nope/child", "data", 4, ZOO_PERSISTENT);

    heading("create with a time to live");
    create_ttl("/ttl", ZOO_PERSISTENT_WITH_TTL, 3600000);
    create_ttl("/ttl-", ZOO_PERSISTENT_SEQUENTIAL_WITH_TTL, 3600000);
    create_ttl("/ttl0", ZOO_PERSISTENT_WITH_TTL, 0);
    create_ttl("/not_ttl", ZOO_PERSISTENT, 3600000);
    create2_ttl("/ttl2", ZOO_PERSISTENT_WITH_TTL, 3600000);
    create2_ttl("/ttl2", ZOO_PERSISTENT_WITH_TTL, 3600000);
    create2_ttl("/ttl2-", ZOO_PERSISTENT_SEQUENTIAL_WITH_TTL, 3600000);
}

static void reading(void)
{
    struct String_vector strings;

    heading("get and exists");
    get("/a");
    get("/null");
    get("/empty");
    get("/a/e");
    get("/container");
    get("/ttl");
    get("/nope");
    exists("/");
    exists("/zookeeper");
    exists("/a");
    exists("/nope");
    int len = 2;
    called(zoo_get(zh, "/a", 0, buffer, &len, NULL), "get /a into 2 bytes");
    show_data(buffer, len);

    heading("get_children");
    const char *paths[] = {"/", "/a", "/null", "/nope"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        if (called(zoo_get_children(zh, paths[i], 0, &strings), "get_children %s", paths[i]) == ZOK) {
            show_strings(&strings);
            deallocate_String_vector(&strings);
        }
        if (called(zoo_get_children2(zh, paths[i], 0, &strings, &stat), "get_children2 %s", paths[i]) == ZOK) {
            show_strings(&strings);
            show_stat(&stat);
            deallocate_String_vector(&strings);
        }
    }

    heading("the ensemble's configuration, which one server alone does not have");
    len = BUFFER_LEN;
    if (called(zoo_getconfig(zh, 0, buffer, &len, &stat), "getconfig") == ZOK) {
        show_data(buffer, len);
        show_stat(&stat);
    }
}

static void writing(void)
{
    heading("set");
    set("/a", "first", -1);
    set("/a", "second", 1);
    set("/a", "late", 1);
    set("/nope", "data", -1);
    get("/a");
    called(zoo_set(zh, "/a", NULL, -1, -1), "set /a to null");
    get("/a");
    if (called(zoo_set2(zh, "/a", "third", 5, 3, &stat), "set2 /a version 3") == ZOK)
        show_stat(&stat);
    called(zoo_set2(zh, "/a", "late", 4, 3, &stat), "set2 /a version 3");
    set("/", "root", -1);
    set("/a/e", "ephemeral", 0);
}

static void deleting(void)
{
    heading("delete");
    create("/d", "", 0, ZOO_PERSISTENT);
    create("/d/c", "", 0, ZOO_PERSISTENT);
    delete("/d", -1);
    delete("/d/c", 1);
    delete("/d/c", 0);
    exists("/d");
    delete("/d", -1);
    delete("/d", -1);
    delete("/", -1);
    delete("/zookeeper", -1);
    delete("/zookeeper/quota", -1);
}

static void add_auth(const char *scheme, const char *cert)
{
    const int before = answers;
    if (zoo_add_auth(zh, scheme, cert, (int)strlen(cert), on_void, "add_auth") != ZOK)
        die("add_auth");
    wait_for_answers(before + 1);
}

static void access_control(void)
{
    struct ACL mixed[] = {
        {ZOO_PERM_READ, {"world", "anyone"}},
        {ZOO_PERM_ALL, {"digest", "user:smGaoVKd/cQkjm7b88GyorAUz20="}},
        {ZOO_PERM_ALL, {"ip", "127.0.0.1/8"}},
    };
    struct ACL user[] = {{ZOO_PERM_ALL, {"digest", "user:smGaoVKd/cQkjm7b88GyorAUz20="}}};
    struct ACL unknown[] = {{ZOO_PERM_ALL, {"unknown", "x"}}};
    const struct ACL_vector mixed_acl = {3, mixed}, user_acl = {1, user}, unknown_acl = {1, unknown}, no_acl = {0, NULL};

    heading("access control");
    get_acl("/a");
    get_acl("/");
    get_acl("/nope");
    called(zoo_set_acl(zh, "/a", -1, &mixed_acl), "set_acl /a, three entries");
    get_acl("/a");
    called(zoo_set_acl(zh, "/a", 0, &ZOO_OPEN_ACL_UNSAFE), "set_acl /a version 0");
    called(zoo_set_acl(zh, "/a", 1, &ZOO_OPEN_ACL_UNSAFE), "set_acl /a version 1");
    called(zoo_set_acl(zh, "/nope", -1, &ZOO_OPEN_ACL_UNSAFE), "set_acl /nope");
    called(zoo_set_acl(zh, "/a", -1, &unknown_acl), "set_acl /a, an unknown scheme");
    called(zoo_set_acl(zh, "/a", -1, &no_acl), "set_acl /a, no entry");
    called(zoo_set_acl(zh, "/a", -1, &ZOO_CREATOR_ALL_ACL), "set_acl /a, creator all, not authenticated");
    called(zoo_create(zh, "/secret", "data", 4, &user_acl, ZOO_PERSISTENT, NULL, 0), "create /secret");
    get("/secret");
    set("/secret", "data", -1);
    get_acl("/secret");
    create("/secret/child", "", 0, ZOO_PERSISTENT);
    called(zoo_set_acl(zh, "/secret", -1, &ZOO_OPEN_ACL_UNSAFE), "set_acl /secret");
    exists("/secret");
    add_auth("digest", "user:pass");
    get("/secret");
    get_acl("/secret");
    create("/secret/child", "", 0, ZOO_PERSISTENT);
    called(zoo_create(zh, "/mine", "data", 4, &ZOO_CREATOR_ALL_ACL, ZOO_PERSISTENT, NULL, 0),
           "create /mine, creator all");
    get_acl("/mine");
    called(zoo_create(zh, "/readable", "data", 4, &ZOO_READ_ACL_UNSAFE, ZOO_PERSISTENT, NULL, 0),
           "create /readable, read only");
    set("/readable", "data", -1);
    create("/readable/child", "", 0, ZOO_PERSISTENT);
    get("/readable");
}

static void multi(const char *name, int count, zoo_op_t *ops)
{
    zoo_op_result_t results[16];
    memset(results, 0, sizeof results);
    called(zoo_multi(zh, count, ops, results), "multi: %s", name);
    for (int i = 0; i < count; i++)
        printf("  %s\n", zerror(results[i].err));
}

static void transactions(void)
{
    static char paths[4][256];
    zoo_op_t ops[6];

    heading("transactions");
    zoo_create_op_init(&ops[0], "/m", "data", 4, &ZOO_OPEN_ACL_UNSAFE, ZOO_PERSISTENT, paths[0], sizeof *paths);
    zoo_create_op_init(&ops[1], "/m/s-", "data", 4, &ZOO_OPEN_ACL_UNSAFE, ZOO_EPHEMERAL_SEQUENTIAL, paths[1],
                       sizeof *paths);
    zoo_check_op_init(&ops[2], "/m", 0);
    zoo_set_op_init(&ops[3], "/m", "more", 4, 0, &stat);
    zoo_create_op_init(&ops[4], "/m/gone", "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_PERSISTENT, paths[2], sizeof *paths);
    zoo_delete_op_init(&ops[5], "/m/gone", -1);
    multi("create, create, check, set, create, delete", 6, ops);
    printf("  paths %s %s %s\n", paths[0], paths[1], paths[2]);
    show_stat(&stat);
    get("/m");

    zoo_create_op_init(&ops[0], "/m/rolled-back", "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_PERSISTENT, paths[0], sizeof *paths);
    zoo_set_op_init(&ops[1], "/m", "late", 4, 0, &stat);
    zoo_delete_op_init(&ops[2], "/nope", -1);
    multi("create, set of an old version, delete", 3, ops);
    exists("/m/rolled-back");
    get("/m");

    zoo_check_op_init(&ops[0], "/nope", -1);
    multi("check of a missing node", 1, ops);
    multi("nothing", 0, ops);
}

static void wexists(const char *path)
{
    called(zoo_wexists(zh, path, watcher, "exists", &stat), "wexists %s", path);
}

static void wget(const char *path)
{
    int len = BUFFER_LEN;
    called(zoo_wget(zh, path, watcher, "get", buffer, &len, &stat), "wget %s", path);
}

static void wget_children(const char *path)
{
    struct String_vector strings;
    if (called(zoo_wget_children(zh, path, watcher, "children", &strings), "wget_children %s", path) == ZOK)
        deallocate_String_vector(&strings);
}

static void wget_children2(const char *path)
{
    struct String_vector strings;
    if (called(zoo_wget_children2(zh, path, watcher, "children2", &strings, &stat), "wget_children2 %s", path) == ZOK)
        deallocate_String_vector(&strings);
}

static void watching(void)
{
    heading("watches");
    wexists("/w");
    create("/w", "", 0, ZOO_PERSISTENT);
    expect_events(1);
    wexists("/w");
    set("/w", "one", -1);
    expect_events(1);
    set("/w", "two", -1);
    wget("/w");
    set("/w", "three", -1);
    expect_events(1);
    wget_children("/w");
    create("/w/c", "", 0, ZOO_PERSISTENT);
    expect_events(1);
    wget_children2("/w");
    delete("/w/c", -1);
    expect_events(1);
    wget("/w");
    wget_children("/w");
    delete("/w", -1);
    expect_events(2);
    wget("/w");
    wget_children("/w");
    int len = BUFFER_LEN;
    called(zoo_wgetconfig(zh, watcher, "config", buffer, &len, &stat), "wgetconfig");
    called(zoo_exists(zh, "/w", 1, &stat), "exists /w, the session's watcher");
    create("/w", "", 0, ZOO_PERSISTENT);
    expect_events(1);
}

static void removing_watches(void)
{
    heading("removal of watches");
    wget("/w");
    called(zoo_remove_watches(zh, "/w", ZWATCHTYPE_CHILD, watcher, "get", 0), "remove_watches /w child");
    called(zoo_remove_watches(zh, "/w", ZWATCHTYPE_DATA, watcher, "get", 0), "remove_watches /w data");
    set("/w", "unseen", -1);
    wget_children("/w");
    called(zoo_remove_watches(zh, "/w", ZWATCHTYPE_CHILD, watcher, "children", 0), "remove_watches /w child");
    create("/w/unseen", "", 0, ZOO_PERSISTENT);
    wget("/w");
    wget_children("/w");
    called(zoo_remove_all_watches(zh, "/w", ZWATCHTYPE_ANY, 0), "remove_all_watches /w any");
    called(zoo_remove_all_watches(zh, "/w", ZWATCHTYPE_ANY, 0), "remove_all_watches /w any");
    called(zoo_remove_all_watches(zh, "/nope", ZWATCHTYPE_ANY, 0), "remove_all_watches /nope any");
    set("/w", "unseen", -1);
}

static void sent(int rc)
{
    if (rc != ZOK)
        die("a request could not be sent");
}

static void pipelining(void)
{
    static zoo_op_t ops[2];
    static zoo_op_result_t results[2];
    static char path[256];
    int expected = answers;

    heading("requests without waiting");
#define SEND(call) (sent(call), expected++)
    SEND(zoo_acreate(zh, "/p", "data", 4, &ZOO_OPEN_ACL_UNSAFE, ZOO_PERSISTENT, on_string, "acreate /p"));
    SEND(zoo_acreate2(zh, "/p/e-", "data", 4, &ZOO_OPEN_ACL_UNSAFE, ZOO_EPHEMERAL_SEQUENTIAL, on_string_stat,
                      "acreate2 /p/e-"));
    SEND(zoo_acreate_ttl(zh, "/p/t", "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_PERSISTENT_WITH_TTL, 3600000, on_string,
                         "acreate_ttl /p/t"));
    SEND(zoo_acreate2_ttl(zh, "/p/t", "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_PERSISTENT_WITH_TTL, 3600000, on_string_stat,
                          "acreate2_ttl /p/t"));
    SEND(zoo_aset(zh, "/p", "one", 3, 0, on_stat, "aset /p version 0"));
    SEND(zoo_aset(zh, "/p", "two", 3, 0, on_stat, "aset /p version 0"));
    SEND(zoo_aget(zh, "/p", 0, on_data, "aget /p"));
    SEND(zoo_async(zh, "/p", on_string, "async /p"));
    SEND(zoo_async(zh, "/nope", on_string, "async /nope"));
    SEND(zoo_aexists(zh, "/p", 0, on_stat, "aexists /p"));
    SEND(zoo_aexists(zh, "/nope", 0, on_stat, "aexists /nope"));
    SEND(zoo_aget_children(zh, "/p", 0, on_strings, "aget_children /p"));
    SEND(zoo_aget_children2(zh, "/p", 0, on_strings_stat, "aget_children2 /p"));
    SEND(zoo_aset_acl(zh, "/p", 0, (struct ACL_vector *)&ZOO_READ_ACL_UNSAFE, on_void, "aset_acl /p version 0"));
    SEND(zoo_aget_acl(zh, "/p", on_acl, "aget_acl /p"));
    SEND(zoo_adelete(zh, "/p", -1, on_void, "adelete /p"));
    zoo_create_op_init(&ops[0], "/q", "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_PERSISTENT, path, sizeof path);
    zoo_delete_op_init(&ops[1], "/q", 0);
    SEND(zoo_amulti(zh, 2, ops, results, on_void, "amulti: create, delete"));
    SEND(zoo_agetconfig(zh, 0, on_data, "agetconfig"));
    SEND(zoo_aget(zh, "/nope", 0, on_data, "aget /nope"));
#undef SEND
    wait_for_answers(expected);
}

static void below_a_chroot(void)
{
    char hosts[256];

    heading("below a chroot");
    create("/root", "", 0, ZOO_PERSISTENT);
    snprintf(hosts, sizeof hosts, "%s/root", server);
    zhandle_t *whole = zh;
    other = zh;
    zh = opened(hosts, NULL, "session below /root");
    expect_events(1);
    create("/inner", "data", 4, ZOO_EPHEMERAL);
    wget("/inner");
    set("/inner", "seen", -1);
    expect_events(1);
    get("/inner");
    exists("/");
    zhandle_t *inner = zh;
    zh = whole;
    other = inner;
    get("/root/inner");
    wexists("/root/inner");
    called(zookeeper_close(inner), "close");
    other = NULL;
    expect_events(1);
    exists("/root/inner");
}

static void refused(void)
{
    heading("what a standalone server refuses");
    int len = BUFFER_LEN;
    called(zoo_reconfig(zh, "server.5=127.0.0.1:2888:3888;2181", NULL, NULL, -1, buffer, &len, &stat), "reconfig");
}

static void reconnecting(void)
{
    heading("a connection that breaks");
    wget("/w");
    cut_connections();
    /* The watchers of the configuration, of /w and of the session each hear of the break and of its end. */
    expect_events_in_any_order(6);
    get("/a/e");
    set("/w", "seen", -1);
    expect_events(1);
    get("/secret");
}

static void another_session_ends(void)
{
    heading("another session ends");
    other = opened(server, NULL, "other session");
    expect_events(1);
    called(zoo_create(other, "/theirs", "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_EPHEMERAL, NULL, 0), "create /theirs");
    exists("/theirs");
    set("/theirs", "allowed", -1);
    wexists("/theirs");
    called(zookeeper_close(other), "close");
    other = NULL;
    expect_events(1);
    exists("/theirs");
}

static void leave_open(const char *file)
{
    create("/left", "", 0, ZOO_EPHEMERAL);
    FILE *out = fopen(file, "wb");
    if (!out || fwrite(zoo_client_id(zh), sizeof(clientid_t), 1, out) != 1 || fclose(out) != 0)
        die("the session's id could not be kept");
    fflush(stdout);
    _exit(0); /* Without a close: the session lives on. */
}

static void resume(const char *file)
{
    clientid_t id;
    FILE *in = fopen(file, "rb");
    if (!in || fread(&id, sizeof id, 1, in) != 1 || fclose(in) != 0)
        die("the session's id could not be read");

    /* While its owner is away: with a connection of its own the owner would fight for the session. */
    heading("a session is not taken up with a wrong password");
    clientid_t wrong = id;
    memset(wrong.passwd, 'x', sizeof wrong.passwd);
    zh = opened(server, &wrong, "intruder");
    expect_events(1);
    called(zookeeper_close(zh), "close");

    heading("a session is taken up by another process");
    zh = opened(server, &id, "session");
    expect_events(1);
    printf("  %s session, timeout %d ms\n", zoo_client_id(zh)->client_id == id.client_id ? "the same" : "another",
           zoo_recv_timeout(zh));
    exists("/left");
    exists("/a/e");
    get("/secret");
    called(zookeeper_close(zh), "close");

    heading("a session that is over");
    zh = opened(server, &id, "session");
    expect_events(1);
    called(zoo_exists(zh, "/left", 0, &stat), "exists /left");
    zookeeper_close(zh);
}
