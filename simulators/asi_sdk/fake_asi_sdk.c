/* A fake of ZWO's camera library: the same 46 functions with the same binary interface, and no camera.
 *
 * In: calls of libASICamera2's interface, and of the fake_* functions at the end, which attach cameras and inject faults.
 * Out: frames of a test pattern that carries its own number, start time and checksum, or of a scene that a callback
 * renders. Time may run faster than real time. Build: cc -O2 -fPIC -shared -pthread, with libc and libm only.
 */
#include <math.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define EXPORT __attribute__((visibility("default")))

enum {
    SUCCESS, INVALID_INDEX, INVALID_ID, INVALID_CONTROL_TYPE, CAMERA_CLOSED, CAMERA_REMOVED, INVALID_PATH,
    INVALID_FILEFORMAT, INVALID_SIZE, INVALID_IMGTYPE, OUT_OF_BOUNDARY, TIMEOUT, INVALID_SEQUENCE, BUFFER_TOO_SMALL,
    VIDEO_MODE_ACTIVE, EXPOSURE_IN_PROGRESS, GENERAL_ERROR, INVALID_MODE, GPS_NOT_SUPPORTED
};
enum { RAW8 = 0, RGB24, RAW16, Y8, FORMAT_END = -1 };
enum { IDLE, WORKING, READY, FAILED };
enum {
    GAIN = 0, EXPOSURE, GAMMA, WB_R, WB_B, OFFSET, BANDWIDTH, OVERCLOCK, TEMPERATURE, FLIP, AUTO_MAX_GAIN, AUTO_MAX_EXP,
    AUTO_TARGET, HARDWARE_BIN, HIGH_SPEED, COOLER_POWER, TARGET_TEMP, COOLER_ON, MONO_BIN, FAN_ON, PATTERN_ADJUST,
    ANTI_DEW, ROLLING_INTERVAL = 28, N_CONTROL_TYPES
};
enum { NONE, FAIL, NEVER, LATE, DROPPED, DUPLICATE, TORN, SHORT, EARLY, GOES_IDLE, N_FAULTS };

typedef struct {
    char Name[64];
    int CameraID;
    long MaxHeight, MaxWidth;
    int IsColorCam, BayerPattern;
    int SupportedBins[16], SupportedVideoFormat[8];
    double PixelSize;
    int MechanicalShutter, ST4Port, IsCoolerCam, IsUSB3Host, IsUSB3Camera;
    float ElecPerADU;
    int BitDepth, IsTriggerCam;
    char Unused[16];
} CameraInfo;

typedef struct {
    char Name[64], Description[128];
    long MaxValue, MinValue, DefaultValue;
    int IsAutoSupported, IsWritable, ControlType;
    char Unused[32];
} ControlCaps;

typedef struct { unsigned char id[8]; } Id;
typedef struct { int SupportedMode[16]; } SupportedMode;

typedef struct {
    const char *name;
    int product, width, height;
    double pixel_um;
    int colour, bayer, bits, guide_port, cooled, usb3, bins[4];
    double e_per_adc; /* at gain 0 */
    long gain_max, gain_default, offset_max, offset_default;
    double mb_per_s;
} Model;

static const Model MODELS[] = {
    {"ZWO ASI120MM Mini", 0x120d, 1280, 960, 3.75, 0, 0, 12, 1, 0, 0, {1, 2}, 3.2, 100, 50, 20, 8, 40},
    {"ZWO ASI178MM", 0x178a, 3096, 2080, 2.4, 0, 0, 14, 1, 0, 1, {1, 2, 3, 4}, 0.9, 510, 0, 600, 10, 2000},
    {"ZWO ASI224MC", 0x224a, 1304, 976, 3.75, 1, 0, 12, 1, 0, 1, {1, 2}, 4.8, 600, 0, 200, 10, 400},
    {"ZWO ASI1600MM Pro", 0x1605, 4656, 3520, 3.8, 0, 0, 12, 0, 1, 1, {1, 2, 3, 4}, 5.0, 600, 0, 100, 50, 400},
};
#define N_MODELS ((int)(sizeof MODELS / sizeof *MODELS))
#define MAX_CAMERAS 8
#define QUEUE 64
#define PHASES 61
#define STAMP 64
#define AMBIENT_C 12.0

/* What a scene is asked to render; the fields' meaning is that of the SDK's settings. */
typedef struct {
    int camera, width, height, bin, x, y, bits;
    long gain, offset, number;
    double start_monotonic_s, exposure_s, temp_c;
    void *pixels;
} SceneFrame;
typedef int (*Scene)(SceneFrame *);
typedef void (*GuidePort)(int camera, int direction, int on);

typedef struct {
    uint32_t magic, phase;
    uint64_t number, start_ns, sum; /* start in UTC; sum of the 64-bit words behind the stamp */
} Stamp;

typedef struct {
    long number;
    double start_s, ready_s; /* monotonic */
    int fault;
    double value;
} Frame;

typedef struct {
    const Model *model;
    int attached, plugged, open, ready;
    Id serial, flash;
    int width, height, bin, format, x, y;
    long value[N_CONTROL_TYPES];
    int automatic[N_CONTROL_TYPES];
    int state;      /* of a snap */
    Frame snap;
    int video, stuck;      /* stuck: no frame comes until stop */
    double next_start_s;   /* of the next video frame */
    Frame waiting[QUEUE];  /* video frames in the SDK's buffer, oldest first */
    int n_waiting, dropped;
    long number;
    Frame last;            /* delivered */
    double temp_c, temp_at_s;
    int guide[4], dark_subtract, mode;
    Scene scene;
    GuidePort guide_port;
    int faults[QUEUE], n_faults;
    double values[QUEUE];
    long happened[N_FAULTS];
    double chance;
    unsigned chance_of;    /* bit mask of faults */
    uint64_t random;
    unsigned char *pattern, *kept;
    long pattern_bytes, kept_bytes;
    uint64_t sums[PHASES];
    char summed[PHASES];
} Camera;

static Camera cameras[MAX_CAMERAS];
static int n_cameras;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t released = PTHREAD_COND_INITIALIZER;
static double speed = 1.0;
static double usbfs_mb = 0; /* 0: unlimited */
static int depth = 2, keep_oldest = 0;
static char hang_call[48];
static int hanging;
static char refused_call[48];
static int refused_code, refused_count;
static long n_calls;

static double now_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

static uint64_t utc_ns(double monotonic_s) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000000000u + t.tv_nsec + (int64_t)((monotonic_s - now_s()) * 1e9);
}

static void sleep_s(double seconds) {
    if (seconds <= 0) return;
    struct timespec t = {(time_t)seconds, (long)((seconds - (time_t)seconds) * 1e9)};
    nanosleep(&t, NULL);
}

static uint64_t mixed(uint64_t *state) {
    uint64_t z = *state += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

/* Takes the lock and gives the camera, or only an error code; hangs and refusals that were ordered happen here. */
static int enter(const char *call, int id, int must_be_open, Camera **camera) {
    pthread_mutex_lock(&lock);
    n_calls++;
    if (strcmp(call, hang_call) == 0) {
        hang_call[0] = 0;
        hanging++;
        int round = hanging;
        while (hanging >= round) pthread_cond_wait(&released, &lock);
    }
    int code = SUCCESS;
    if (refused_count > 0 && strcmp(call, refused_call) == 0) {
        refused_count--;
        code = refused_code;
    } else if (id < 0 || id >= n_cameras || !cameras[id].attached) code = INVALID_ID;
    else if (!cameras[id].plugged) code = CAMERA_REMOVED;
    else if (must_be_open && !cameras[id].open) code = CAMERA_CLOSED;
    if (code != SUCCESS) {
        pthread_mutex_unlock(&lock);
        return code;
    }
    *camera = &cameras[id];
    return SUCCESS;
}

static int leave(int code) {
    pthread_mutex_unlock(&lock);
    return code;
}

#define ENTER(must_be_open)                                              \
    Camera *c;                                                           \
    {                                                                    \
        int refused = enter(__func__, id, must_be_open, &c);             \
        if (refused != SUCCESS) return refused;                          \
    }

/* ---- controls ---- */

static int control(const Camera *c, int type, ControlCaps *caps) {
    const Model *m = c->model;
    memset(caps, 0, sizeof *caps);
    const char *name = NULL;
    long low = 0, high = 0, usual = 0;
    int can_auto = 0, writable = 1;
    switch (type) {
    case GAIN: name = "Gain"; high = m->gain_max; usual = m->gain_default; can_auto = 1; break;
    case EXPOSURE: name = "Exposure"; low = 32; high = 2000000000; usual = 10000; can_auto = 1; break;
    case WB_R: if (m->colour) { name = "WB_R"; low = 1; high = 99; usual = 52; can_auto = 1; } break;
    case WB_B: if (m->colour) { name = "WB_B"; low = 1; high = 99; usual = 95; can_auto = 1; } break;
    case OFFSET: name = "Offset"; high = m->offset_max; usual = m->offset_default; break;
    case BANDWIDTH: name = "BandWidth"; low = 40; high = 100; usual = 50; can_auto = 1; break;
    case TEMPERATURE: name = "Temperature"; low = -500; high = 1000; usual = 20; writable = 0; break;
    case FLIP: name = "Flip"; high = 3; break;
    case AUTO_MAX_GAIN: name = "AutoExpMaxGain"; high = m->gain_max; usual = m->gain_max / 2; break;
    case AUTO_MAX_EXP: name = "AutoExpMaxExpMS"; low = 1; high = 60000; usual = 100; break;
    case AUTO_TARGET: name = "AutoExpTargetBrightness"; low = 50; high = 160; usual = 100; break;
    case HARDWARE_BIN: if (m->usb3) { name = "HardwareBin"; high = 1; } break;
    case HIGH_SPEED: name = "HighSpeedMode"; high = 1; break;
    case COOLER_POWER: if (m->cooled) { name = "CoolerPowerPerc"; high = 100; writable = 0; } break;
    case TARGET_TEMP: if (m->cooled) { name = "TargetTemp"; low = -40; high = 30; } break;
    case COOLER_ON: if (m->cooled) { name = "CoolerOn"; high = 1; } break;
    case MONO_BIN: if (m->colour) { name = "Mono bin"; high = 1; } break;
    case ANTI_DEW: if (m->cooled) { name = "AntiDewHeater"; high = 1; } break;
    case ROLLING_INTERVAL: if (m->usb3) { name = "RollingInterval"; high = 1000; usual = 15; writable = 0; } break;
    }
    if (!name) return INVALID_CONTROL_TYPE;
    strcpy(caps->Name, name);
    strcpy(caps->Description, name);
    caps->MinValue = low;
    caps->MaxValue = high;
    caps->DefaultValue = usual;
    caps->IsAutoSupported = can_auto;
    caps->IsWritable = writable;
    caps->ControlType = type;
    return SUCCESS;
}

static double goal_c(const Camera *c) {
    double target = c->value[TARGET_TEMP];
    if (!c->value[COOLER_ON] || target > AMBIENT_C) return AMBIENT_C;
    return target < AMBIENT_C - 45 ? AMBIENT_C - 45 : target;
}

static void relax(Camera *c) {
    double now = now_s();
    c->temp_c = goal_c(c) + (c->temp_c - goal_c(c)) * exp(-(now - c->temp_at_s) * speed / 40.0);
    c->temp_at_s = now;
}

static void power_up(Camera *c) {
    ControlCaps caps;
    for (int type = 0; type < N_CONTROL_TYPES; type++) {
        c->value[type] = control(c, type, &caps) == SUCCESS ? caps.DefaultValue : 0;
        c->automatic[type] = 0;
    }
    c->width = c->model->width;
    c->height = c->model->height;
    c->bin = 1;
    c->format = RAW8;
    c->x = c->y = 0;
    c->state = IDLE;
    c->video = c->stuck = c->n_waiting = c->dropped = 0;
    c->temp_c = AMBIENT_C;
    c->temp_at_s = now_s();
    memset(c->guide, 0, sizeof c->guide);
}

/* ---- frames ---- */

static long frame_bytes(const Camera *c) {
    return (long)c->width * c->height * (c->format == RAW16 ? 2 : c->format == RGB24 ? 3 : 1);
}

static uint64_t sum64(const unsigned char *bytes, long n) {
    uint64_t sum = 0, word;
    for (long i = 0; i + 8 <= n; i += 8) {
        memcpy(&word, bytes + i, 8);
        sum += word;
    }
    return sum;
}

static void draw_pattern(Camera *c, const Frame *frame, unsigned char *pixels, long n) {
    long needed = n + 64 * PHASES;
    if (c->pattern_bytes != needed) {
        free(c->pattern);
        c->pattern = malloc(needed + 8);
        c->pattern_bytes = needed;
        memset(c->summed, 0, sizeof c->summed);
        uint64_t state = 1, mask = ~(uint64_t)0;
        if (c->format == RAW16) mask = 0x0001000100010001u * (uint64_t)(0xFFFF & (0xFFFF << (16 - c->model->bits)));
        for (long i = 0; i < needed; i += 8) {
            uint64_t word = mixed(&state) & mask;
            memcpy(c->pattern + i, &word, 8);
        }
    }
    int phase = frame->number % PHASES;
    const unsigned char *body = c->pattern + 64 * phase;
    memcpy(pixels, body, n);
    if (n < 2 * STAMP) return;
    if (!c->summed[phase]) {
        c->sums[phase] = sum64(body + STAMP, n - STAMP);
        c->summed[phase] = 1;
    }
    Stamp stamp = {0x41A51F4Bu, phase, frame->number, utc_ns(frame->start_s), c->sums[phase]};
    memcpy(pixels, &stamp, sizeof stamp);
}

/* Called with the lock held; a scene is rendered without it. */
static int draw(Camera *c, const Frame *frame, unsigned char *pixels) {
    long n = frame_bytes(c);
    if (!c->scene) {
        draw_pattern(c, frame, pixels, n);
        return 1;
    }
    SceneFrame asked = {
        (int)(c - cameras), c->width, c->height, c->bin, c->x, c->y, c->format == RAW16 ? 16 : 8, c->value[GAIN],
        c->value[OFFSET], frame->number, frame->start_s, c->value[EXPOSURE] * 1e-6, c->temp_c, pixels};
    Scene render = c->scene;
    pthread_mutex_unlock(&lock);
    int rendered = render(&asked);
    pthread_mutex_lock(&lock);
    if (!rendered) return 0;
    if (c->kept_bytes != n) {
        free(c->kept);
        c->kept = malloc(n);
        c->kept_bytes = n;
        memcpy(c->kept, pixels, n);
    }
    return 1;
}

/* Put a frame into the caller's buffer with whatever its fault makes of it. */
static int deliver(Camera *c, const Frame *frame, unsigned char *pixels) {
    long n = frame_bytes(c), row = n / c->height;
    long whole = row * (1 + (long)(mixed(&c->random) % (uint64_t)(c->height > 1 ? c->height - 1 : 1)));
    int first = c->last.number == 0, fault = frame->fault;
    if (fault == SHORT) {
        unsigned char *all = malloc(n);
        int drawn = draw(c, frame, all);
        memcpy(pixels, all, whole);
        free(all);
        if (!drawn) return 0;
    } else if ((fault == DUPLICATE || fault == EARLY) && !first) {
        if (c->scene) memcpy(pixels, c->kept, n);
        else draw(c, &c->last, pixels);
        if (fault == DUPLICATE) c->happened[fault]++;
        return 1;
    } else if (fault == TORN && !first) {
        if (!draw(c, frame, pixels)) return 0;
        unsigned char *old = malloc(n);
        if (c->scene) memcpy(old, c->kept, n);
        else draw(c, &c->last, old);
        memcpy(pixels + whole, old + whole, n - whole);
        free(old);
    } else {
        if (!draw(c, frame, pixels)) return 0;
        if (fault == DUPLICATE || fault == TORN || fault == EARLY) fault = NONE; /* there is nothing older */
    }
    if (fault == SHORT || fault == TORN) c->happened[fault]++;
    else {
        c->last = *frame;
        if (c->scene && c->kept_bytes == n) memcpy(c->kept, pixels, n);
    }
    return 1;
}

static Frame new_frame(Camera *c, double start_s, int is_video) {
    Frame frame = {++c->number, start_s, 0, NONE, 0};
    if (c->n_faults > 0) {
        frame.fault = c->faults[0];
        frame.value = c->values[0];
        c->n_faults--;
        memmove(c->faults, c->faults + 1, c->n_faults * sizeof *c->faults);
        memmove(c->values, c->values + 1, c->n_faults * sizeof *c->values);
    } else if (c->chance > 0 && (mixed(&c->random) >> 11) * 0x1p-53 < c->chance) {
        do frame.fault = 1 + mixed(&c->random) % (N_FAULTS - 1);
        while (!(c->chance_of & (1u << frame.fault)));
        frame.value = 0.2;
    }
    if (!is_video && frame.fault == DROPPED) frame.fault = FAIL;
    int needs_older = frame.fault == DUPLICATE || frame.fault == TORN || frame.fault == EARLY;
    if (needs_older && c->last.number == 0) frame.fault = NONE;
    double exposure_s = c->value[EXPOSURE] * 1e-6;
    double readout_s = frame_bytes(c) / (c->model->mb_per_s * 1e6);
    if (frame.fault == LATE) exposure_s += frame.value * speed; /* the value is in real seconds */
    frame.ready_s = start_s + (exposure_s + readout_s) / speed;
    if (usbfs_mb > 0 && frame_bytes(c) > usbfs_mb * 1048576) frame.fault = is_video ? NEVER : FAIL;
    if (frame.fault == FAIL || frame.fault == NEVER || frame.fault == LATE || frame.fault == GOES_IDLE ||
        frame.fault == EARLY)
        c->happened[frame.fault]++;
    return frame;
}

static void advance_snap(Camera *c) {
    if (c->state != WORKING) return;
    double now = now_s();
    if (c->snap.fault == EARLY) c->state = READY;
    else if (c->snap.fault == GOES_IDLE && now > c->snap.start_s + 0.002) c->state = IDLE;
    else if (c->snap.fault != NEVER && now >= c->snap.ready_s) c->state = c->snap.fault == FAIL ? FAILED : READY;
}

/* Let all video frames happen that are due. */
static void advance_video(Camera *c) {
    double now = now_s();
    double exposure_s = c->value[EXPOSURE] * 1e-6;
    double readout_s = frame_bytes(c) / (c->model->mb_per_s * 1e6);
    double period_s = fmax(exposure_s, readout_s) / speed;
    while (c->video && !c->stuck) {
        double ready_s = c->next_start_s + (exposure_s + readout_s) / speed;
        int early = c->n_faults > 0 && c->faults[0] == EARLY;
        if (!early && ready_s > now) break;
        Frame frame = new_frame(c, c->next_start_s, 1);
        c->next_start_s += early ? 0 : period_s;
        if (frame.fault == LATE) c->next_start_s += frame.value;
        if (frame.fault == NEVER || frame.fault == GOES_IDLE) c->stuck = 1;
        if (frame.fault == DROPPED) {
            c->dropped++;
            c->happened[DROPPED]++;
        }
        if (frame.fault == NEVER || frame.fault == GOES_IDLE || frame.fault == DROPPED || frame.fault == FAIL) continue;
        if (c->n_waiting == depth) {
            c->dropped++;
            if (keep_oldest) continue;
            memmove(c->waiting, c->waiting + 1, --c->n_waiting * sizeof(Frame));
        }
        c->waiting[c->n_waiting++] = frame;
    }
}

/* ---- the library's own functions ---- */

EXPORT int ASIGetNumOfConnectedCameras(void) {
    pthread_mutex_lock(&lock);
    int n = 0;
    for (int i = 0; i < n_cameras; i++) n += cameras[i].attached && cameras[i].plugged;
    return leave(n);
}

EXPORT int ASIGetProductIDs(int *products) {
    if (products)
        for (int i = 0; i < N_MODELS; i++) products[i] = MODELS[i].product;
    return N_MODELS;
}

EXPORT int ASICameraCheck(int vendor, int product) {
    for (int i = 0; i < N_MODELS; i++)
        if (vendor == 0x03c3 && product == MODELS[i].product) return 1;
    return 0;
}

static void describe(const Camera *c, CameraInfo *info) {
    const Model *m = c->model;
    memset(info, 0, sizeof *info);
    strcpy(info->Name, m->name);
    info->CameraID = (int)(c - cameras);
    info->MaxWidth = m->width;
    info->MaxHeight = m->height;
    info->IsColorCam = m->colour;
    info->BayerPattern = m->bayer;
    for (int i = 0; i < 4; i++) info->SupportedBins[i] = m->bins[i];
    int formats[] = {RAW8, RAW16, FORMAT_END}, colours[] = {RAW8, RGB24, RAW16, Y8, FORMAT_END};
    memset(info->SupportedVideoFormat, 0xFF, sizeof info->SupportedVideoFormat);
    memcpy(info->SupportedVideoFormat, m->colour ? colours : formats, m->colour ? sizeof colours : sizeof formats);
    info->PixelSize = m->pixel_um;
    info->ST4Port = m->guide_port;
    info->IsCoolerCam = m->cooled;
    info->IsUSB3Host = info->IsUSB3Camera = m->usb3;
    info->ElecPerADU = (float)(m->e_per_adc * pow(10, -c->value[GAIN] / 200.0));
    info->BitDepth = m->bits;
}

EXPORT int ASIGetCameraProperty(CameraInfo *info, int index) {
    pthread_mutex_lock(&lock);
    for (int i = 0; i < n_cameras; i++)
        if (cameras[i].attached && cameras[i].plugged && index-- == 0) {
            describe(&cameras[i], info);
            return leave(SUCCESS);
        }
    return leave(INVALID_INDEX);
}

EXPORT int ASIGetCameraPropertyByID(int id, CameraInfo *info) {
    ENTER(1)
    describe(c, info);
    return leave(SUCCESS);
}

EXPORT int ASIOpenCamera(int id) {
    ENTER(0)
    c->open = 1;
    return leave(SUCCESS);
}

EXPORT int ASIInitCamera(int id) {
    ENTER(1)
    c->ready = 1;
    return leave(SUCCESS);
}

EXPORT int ASICloseCamera(int id) {
    ENTER(1)
    c->open = c->ready = c->video = 0;
    c->state = IDLE;
    free(c->pattern);
    free(c->kept);
    c->pattern = c->kept = NULL;
    c->pattern_bytes = c->kept_bytes = c->last.number = 0;
    return leave(SUCCESS);
}

EXPORT int ASIGetNumOfControls(int id, int *n) {
    ENTER(1)
    ControlCaps caps;
    *n = 0;
    for (int type = 0; type < N_CONTROL_TYPES; type++) *n += control(c, type, &caps) == SUCCESS;
    return leave(SUCCESS);
}

EXPORT int ASIGetControlCaps(int id, int index, ControlCaps *caps) {
    ENTER(1)
    for (int type = 0; type < N_CONTROL_TYPES; type++)
        if (control(c, type, caps) == SUCCESS && index-- == 0) return leave(SUCCESS);
    return leave(INVALID_CONTROL_TYPE);
}

EXPORT int ASIGetControlValue(int id, int type, long *value, int *automatic) {
    ENTER(1)
    ControlCaps caps;
    if (control(c, type, &caps) != SUCCESS) return leave(INVALID_CONTROL_TYPE);
    relax(c);
    if (type == TEMPERATURE) c->value[type] = lround(c->temp_c * 10);
    if (type == COOLER_POWER) c->value[type] = lround((AMBIENT_C - goal_c(c)) / 45 * 100);
    *value = c->value[type];
    *automatic = c->automatic[type];
    return leave(SUCCESS);
}

EXPORT int ASISetControlValue(int id, int type, long value, int automatic) {
    ENTER(1)
    ControlCaps caps;
    if (control(c, type, &caps) != SUCCESS) return leave(INVALID_CONTROL_TYPE);
    if (!caps.IsWritable) return leave(GENERAL_ERROR);
    relax(c);
    c->value[type] = value < caps.MinValue ? caps.MinValue : value > caps.MaxValue ? caps.MaxValue : value;
    c->automatic[type] = automatic && caps.IsAutoSupported;
    return leave(SUCCESS);
}

EXPORT int ASISetROIFormat(int id, int width, int height, int bin, int format) {
    ENTER(1)
    if (c->video || c->state == WORKING) return leave(INVALID_SEQUENCE);
    int known = 0;
    for (int i = 0; i < 4; i++) known |= bin > 0 && c->model->bins[i] == bin;
    if (!known || width <= 0 || height <= 0 || width % 8 || height % 2) return leave(INVALID_SIZE);
    if (width * bin > c->model->width || height * bin > c->model->height) return leave(INVALID_SIZE);
    if (strncmp(c->model->name, "ZWO ASI120", 10) == 0 && (long)width * height % 1024) return leave(INVALID_SIZE);
    if (format != RAW8 && format != RAW16 && !(c->model->colour && (format == RGB24 || format == Y8)))
        return leave(INVALID_IMGTYPE);
    c->width = width;
    c->height = height;
    c->bin = bin;
    c->format = format;
    c->x = (c->model->width / bin - width) / 2;
    c->y = (c->model->height / bin - height) / 2;
    c->pattern_bytes = 0;
    c->last.number = 0;
    return leave(SUCCESS);
}

EXPORT int ASIGetROIFormat(int id, int *width, int *height, int *bin, int *format) {
    ENTER(1)
    *width = c->width;
    *height = c->height;
    *bin = c->bin;
    *format = c->format;
    return leave(SUCCESS);
}

EXPORT int ASISetStartPos(int id, int x, int y) {
    ENTER(1)
    if (x < 0 || y < 0 || (x + c->width) * c->bin > c->model->width || (y + c->height) * c->bin > c->model->height)
        return leave(OUT_OF_BOUNDARY);
    c->x = x;
    c->y = y;
    return leave(SUCCESS);
}

EXPORT int ASIGetStartPos(int id, int *x, int *y) {
    ENTER(1)
    *x = c->x;
    *y = c->y;
    return leave(SUCCESS);
}

EXPORT int ASIGetDroppedFrames(int id, int *n) {
    ENTER(1)
    *n = c->dropped;
    return leave(SUCCESS);
}

EXPORT int ASIEnableDarkSubtract(int id, char *path) {
    ENTER(1)
    c->dark_subtract = path != NULL;
    return leave(path ? SUCCESS : INVALID_PATH);
}

EXPORT int ASIDisableDarkSubtract(int id) {
    ENTER(1)
    c->dark_subtract = 0;
    return leave(SUCCESS);
}

EXPORT int ASIStartVideoCapture(int id) {
    ENTER(1)
    if (!c->ready) return leave(CAMERA_CLOSED);
    if (c->state == WORKING) return leave(EXPOSURE_IN_PROGRESS);
    c->video = 1;
    c->stuck = c->n_waiting = c->dropped = 0;
    c->next_start_s = now_s();
    return leave(SUCCESS);
}

EXPORT int ASIStopVideoCapture(int id) {
    ENTER(1)
    c->video = c->n_waiting = c->dropped = 0;
    return leave(SUCCESS);
}

EXPORT int ASIGetVideoData(int id, unsigned char *pixels, long bytes, int wait_ms) {
    ENTER(1)
    double until_s = wait_ms < 0 ? INFINITY : now_s() + wait_ms * 1e-3;
    if (bytes < frame_bytes(c)) return leave(BUFFER_TOO_SMALL);
    while (c->video && c->plugged) {
        advance_video(c);
        if (c->n_waiting > 0) {
            Frame frame = c->waiting[0];
            memmove(c->waiting, c->waiting + 1, --c->n_waiting * sizeof(Frame));
            return leave(deliver(c, &frame, pixels) ? SUCCESS : TIMEOUT);
        }
        double now = now_s();
        double due_s = c->next_start_s + (c->value[EXPOSURE] * 1e-6 + frame_bytes(c) / (c->model->mb_per_s * 1e6)) / speed;
        if (now >= until_s) return leave(TIMEOUT);
        double pause_s = fmin(fmin(due_s - now, until_s - now), 0.005);
        pthread_mutex_unlock(&lock);
        sleep_s(fmax(pause_s, 0.0001));
        pthread_mutex_lock(&lock);
    }
    return leave(c->plugged ? INVALID_SEQUENCE : CAMERA_REMOVED);
}

EXPORT int ASIGetVideoDataGPS(int id, unsigned char *pixels, long bytes, int wait_ms, void *gps) {
    (void)gps;
    return ASIGetVideoData(id, pixels, bytes, wait_ms);
}

static int guide(int id, int direction, int on, const char *call) {
    Camera *c;
    int refused = enter(call, id, 1, &c);
    if (refused != SUCCESS) return refused;
    if (!c->model->guide_port || direction < 0 || direction > 3) return leave(GENERAL_ERROR);
    int changed = c->guide[direction] != on;
    c->guide[direction] = on;
    GuidePort tell = c->guide_port;
    pthread_mutex_unlock(&lock);
    if (changed && tell) tell(id, direction, on);
    return SUCCESS;
}

EXPORT int ASIPulseGuideOn(int id, int direction) { return guide(id, direction, 1, __func__); }

EXPORT int ASIPulseGuideOff(int id, int direction) { return guide(id, direction, 0, __func__); }

EXPORT int ASIStartExposure(int id, int is_dark) {
    (void)is_dark;
    ENTER(1)
    if (!c->ready) return leave(CAMERA_CLOSED);
    if (c->video) return leave(VIDEO_MODE_ACTIVE);
    advance_snap(c);
    if (c->state == WORKING) return leave(EXPOSURE_IN_PROGRESS);
    c->state = WORKING;
    relax(c);
    c->snap = new_frame(c, now_s(), 0);
    return leave(SUCCESS);
}

EXPORT int ASIStopExposure(int id) {
    ENTER(1)
    c->state = IDLE;
    return leave(SUCCESS);
}

EXPORT int ASIGetExpStatus(int id, int *status) {
    ENTER(1)
    advance_snap(c);
    *status = c->state;
    return leave(SUCCESS);
}

EXPORT int ASIGetDataAfterExp(int id, unsigned char *pixels, long bytes) {
    ENTER(1)
    advance_snap(c);
    if (c->state != READY) return leave(GENERAL_ERROR);
    if (bytes < frame_bytes(c)) return leave(BUFFER_TOO_SMALL);
    c->state = IDLE;
    return leave(deliver(c, &c->snap, pixels) ? SUCCESS : GENERAL_ERROR);
}

EXPORT int ASIGetDataAfterExpGPS(int id, unsigned char *pixels, long bytes, void *gps) {
    (void)gps;
    return ASIGetDataAfterExp(id, pixels, bytes);
}

EXPORT int ASIGetID(int id, Id *flash) {
    ENTER(1)
    *flash = c->flash;
    return leave(SUCCESS);
}

EXPORT int ASISetID(int id, Id flash) {
    ENTER(1)
    c->flash = flash;
    return leave(SUCCESS);
}

EXPORT int ASIGetGainOffset(int id, int *offset_dr, int *offset_unity, int *gain_rn, int *offset_rn) {
    ENTER(1)
    *offset_dr = *offset_unity = *offset_rn = (int)c->model->offset_default;
    *gain_rn = (int)c->model->gain_max / 2;
    return leave(SUCCESS);
}

EXPORT int ASIGetLMHGainOffset(int id, int *low, int *middle, int *high, int *offset) {
    ENTER(1)
    *low = 0;
    *middle = (int)c->model->gain_max / 4;
    *high = (int)c->model->gain_max / 2;
    *offset = (int)c->model->offset_default;
    return leave(SUCCESS);
}

EXPORT char *ASIGetSDKVersion(void) { return "1, 41, 0, 0 (fake)"; }

EXPORT int ASIGetCameraSupportMode(int id, SupportedMode *modes) {
    ENTER(1)
    memset(modes, 0xFF, sizeof *modes);
    modes->SupportedMode[0] = 0;
    return leave(SUCCESS);
}

EXPORT int ASIGetCameraMode(int id, int *mode) {
    ENTER(1)
    *mode = c->mode;
    return leave(SUCCESS);
}

EXPORT int ASISetCameraMode(int id, int mode) {
    ENTER(1)
    return leave(mode == 0 ? SUCCESS : INVALID_MODE);
}

EXPORT int ASISendSoftTrigger(int id, int start) {
    (void)start;
    ENTER(1)
    return leave(INVALID_MODE);
}

EXPORT int ASIGetSerialNumber(int id, Id *serial) {
    ENTER(1)
    *serial = c->serial;
    return leave(SUCCESS);
}

EXPORT int ASISetTriggerOutputIOConf(int id, int pin, int high, long delay, long duration) {
    (void)pin; (void)high; (void)delay; (void)duration;
    ENTER(1)
    return leave(INVALID_MODE);
}

EXPORT int ASIGetTriggerOutputIOConf(int id, int pin, int *high, long *delay, long *duration) {
    (void)pin; (void)high; (void)delay; (void)duration;
    ENTER(1)
    return leave(INVALID_MODE);
}

EXPORT int ASIGPSGetData(int id, void *start, void *end) {
    (void)start; (void)end;
    ENTER(1)
    return leave(GPS_NOT_SUPPORTED);
}

EXPORT int ASIEnableDebugLog(int id, int on) {
    (void)on;
    ENTER(1)
    return leave(SUCCESS);
}

EXPORT int ASIGetDebugLogIsEnabled(int id, int *on) {
    ENTER(1)
    *on = 0;
    return leave(SUCCESS);
}

EXPORT int ASIGetDebugLogPath(int id, char *path) {
    ENTER(1)
    path[0] = 0;
    return leave(SUCCESS);
}

/* ---- what only the fake has ---- */

/* Plug in one more camera; its id, or -1 when there is no such model or no room. */
EXPORT int fake_attach(const char *model, const char *serial, const char *flash_id) {
    pthread_mutex_lock(&lock);
    for (int i = 0; i < N_MODELS && n_cameras < MAX_CAMERAS; i++)
        if (strcmp(MODELS[i].name, model) == 0) {
            Camera *c = &cameras[n_cameras];
            memset(c, 0, sizeof *c);
            c->model = &MODELS[i];
            c->attached = c->plugged = 1;
            memcpy(c->serial.id, serial, 8);
            memcpy(c->flash.id, flash_id, 8);
            c->random = 1 + n_cameras;
            power_up(c);
            return leave(n_cameras++);
        }
    return leave(-1);
}

/* A program that only loads the library finds these cameras: their names in the environment, with ; between them. */
__attribute__((constructor)) static void attach_from_environment(void) {
    const char *names = getenv("STARLATCH_FAKE_ASI_CAMERAS");
    char name[64], serial[8] = {0};
    while (names && *names) {
        size_t n = strcspn(names, ";");
        if (n < sizeof name) {
            memcpy(name, names, n);
            name[n] = 0;
            serial[7]++;
            fake_attach(name, serial, "\0\0\0\0\0\0\0");
        }
        names += n + (names[n] == ';');
    }
}

EXPORT const char *fake_model(int index) { return index >= 0 && index < N_MODELS ? MODELS[index].name : NULL; }

EXPORT void fake_plug(int id, int plugged) {
    pthread_mutex_lock(&lock);
    if (!plugged) cameras[id].open = cameras[id].ready = 0;
    cameras[id].plugged = plugged;
    if (plugged) power_up(&cameras[id]);
    leave(0);
}

EXPORT void fake_set_speed(double factor) { speed = factor; }
EXPORT void fake_set_usbfs_mb(double mb) { usbfs_mb = mb; }
EXPORT void fake_set_buffer(int frames, int oldest_stay) { depth = frames; keep_oldest = oldest_stay; }
EXPORT void fake_set_scene(int id, Scene render) { cameras[id].scene = render; }
EXPORT void fake_set_guide_port(int id, GuidePort tell) { cameras[id].guide_port = tell; }

/* The next frames have this fault. */
EXPORT void fake_inject(int id, int fault, int count, double value) {
    pthread_mutex_lock(&lock);
    for (Camera *c = &cameras[id]; count > 0 && c->n_faults < QUEUE; count--) {
        c->values[c->n_faults] = value;
        c->faults[c->n_faults++] = fault;
    }
    leave(0);
}

/* From now on every frame has one of the faults in the bit mask with this chance. */
EXPORT void fake_set_chance(int id, double chance, unsigned faults, unsigned long seed) {
    pthread_mutex_lock(&lock);
    cameras[id].chance = faults ? chance : 0;
    cameras[id].chance_of = faults;
    cameras[id].random = seed;
    leave(0);
}

EXPORT long fake_happened(int id, int fault) { return cameras[id].happened[fault]; }

/* The next call of this name blocks until released. */
EXPORT void fake_hang(const char *call) {
    pthread_mutex_lock(&lock);
    strncpy(hang_call, call, sizeof hang_call - 1);
    leave(0);
}

EXPORT void fake_release(void) {
    pthread_mutex_lock(&lock);
    hang_call[0] = 0;
    hanging = 0;
    pthread_cond_broadcast(&released);
    leave(0);
}

/* The next calls of this name return this code. */
EXPORT void fake_refuse(const char *call, int code, int count) {
    pthread_mutex_lock(&lock);
    strncpy(refused_call, call, sizeof refused_call - 1);
    refused_code = code;
    refused_count = count;
    leave(0);
}

EXPORT int fake_guide_port_is_on(int id, int direction) { return cameras[id].guide[direction]; }
EXPORT int fake_is_open(int id) { return cameras[id].open; }
EXPORT int fake_dark_subtract(int id) { return cameras[id].dark_subtract; }
EXPORT long fake_value(int id, int control_type) { return cameras[id].value[control_type]; }
EXPORT long fake_calls(void) { return n_calls; }

/* When the exposure of the last frame that was delivered began: UTC, ns. */
EXPORT unsigned long fake_last_start_ns(int id) { return utc_ns(cameras[id].last.start_s); }
