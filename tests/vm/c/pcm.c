/* A stream that runs dry: `pcm PLAYBACK-DEVICE`. */
#include "check.h"
#include <fcntl.h>
#include <sound/asound.h>
#include <sys/ioctl.h>
#include <unistd.h>

static void mask(struct snd_pcm_hw_params *params, int which, unsigned bit)
{
	struct snd_mask *mask = &params->masks[which - SNDRV_PCM_HW_PARAM_FIRST_MASK];
	memset(mask, 0, sizeof *mask);
	mask->bits[bit / 32] = 1u << bit % 32;
}

static void interval(struct snd_pcm_hw_params *params, int which, unsigned value)
{
	struct snd_interval *interval = &params->intervals[which - SNDRV_PCM_HW_PARAM_FIRST_INTERVAL];
	*interval = (struct snd_interval){.min = value, .max = value, .integer = 1};
}

/* 16 bits, two channels. */
static void parameters(struct snd_pcm_hw_params *params, unsigned rate)
{
	memset(params, 0, sizeof *params);
	params->rmask = ~0u;
	for (int at = 0; at <= SNDRV_PCM_HW_PARAM_LAST_MASK - SNDRV_PCM_HW_PARAM_FIRST_MASK; at++)
		memset(&params->masks[at], 0xff, sizeof params->masks[at]);
	for (int at = 0; at <= SNDRV_PCM_HW_PARAM_LAST_INTERVAL - SNDRV_PCM_HW_PARAM_FIRST_INTERVAL; at++)
		params->intervals[at].max = ~0u;
	mask(params, SNDRV_PCM_HW_PARAM_ACCESS, (unsigned)SNDRV_PCM_ACCESS_RW_INTERLEAVED);
	mask(params, SNDRV_PCM_HW_PARAM_FORMAT, (unsigned)SNDRV_PCM_FORMAT_S16_LE);
	interval(params, SNDRV_PCM_HW_PARAM_CHANNELS, 2);
	interval(params, SNDRV_PCM_HW_PARAM_RATE, rate);
	interval(params, SNDRV_PCM_HW_PARAM_PERIOD_SIZE, 480);
	interval(params, SNDRV_PCM_HW_PARAM_PERIODS, 4);
}

int main(int count, char **arguments)
{
	CHECK(count == 2);
	static short samples[2 * 960];
	int fd = open(arguments[1], O_RDWR);
	CHECK(fd >= 0);
	struct snd_pcm_hw_params params;
	/* No card is so slow. */
	parameters(&params, 7);
	REFUSED(ioctl(fd, SNDRV_PCM_IOCTL_HW_PARAMS, &params), EINVAL);
	parameters(&params, 48000);
	CHECK(!ioctl(fd, SNDRV_PCM_IOCTL_HW_PARAMS, &params));
	struct snd_pcm_sw_params soft = {
		.period_step = 1, .avail_min = 480, .start_threshold = 100000, .stop_threshold = 1920, .boundary = 1920,
	};
	CHECK(!ioctl(fd, SNDRV_PCM_IOCTL_SW_PARAMS, &soft));
	struct snd_xferi transfer = {.buf = samples, .frames = 960};
	CHECK(!ioctl(fd, SNDRV_PCM_IOCTL_PREPARE));
	CHECK(!ioctl(fd, SNDRV_PCM_IOCTL_WRITEI_FRAMES, &transfer) && transfer.result == 960);
	CHECK(!ioctl(fd, SNDRV_PCM_IOCTL_START));
	/* It lasts for 20 ms. */
	struct snd_pcm_status status;
	do {
		usleep(200000);
		memset(&status, 0, sizeof status);
		CHECK(!ioctl(fd, SNDRV_PCM_IOCTL_STATUS, &status));
	} while (status.state == SNDRV_PCM_STATE_RUNNING);
	CHECK(status.state == SNDRV_PCM_STATE_XRUN);
	/* For the table: by how much it ran dry. */
	printf("available=%lu\ndelay=%ld\n", status.avail, status.delay);
	REFUSED(ioctl(fd, SNDRV_PCM_IOCTL_WRITEI_FRAMES, &transfer), EPIPE);
	CHECK(!ioctl(fd, SNDRV_PCM_IOCTL_PREPARE));
	transfer.frames = 100;
	CHECK(!ioctl(fd, SNDRV_PCM_IOCTL_WRITEI_FRAMES, &transfer) && transfer.result == 100);
	CHECK(!ioctl(fd, SNDRV_PCM_IOCTL_DROP));
	/* Stopped: it would have to be prepared. */
	REFUSED(ioctl(fd, SNDRV_PCM_IOCTL_START), EBADFD);
	CHECK(!ioctl(fd, SNDRV_PCM_IOCTL_HW_FREE));
	return 0;
}
