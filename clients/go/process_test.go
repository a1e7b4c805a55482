package imagestorelab

import (
	"strings"
	"testing"
	"time"
)

func TestALabThatIsNotReadySaysWhatItWroteOrThatItWroteNothing(t *testing.T) {
	const silent = ", and wrote nothing to its standard error"
	for _, one := range []struct {
		script string
		within time.Duration
		ends   string
	}{
		{"exit 3", time.Minute, "the lab ended before it was ready" + silent},
		{"echo no room >&2", time.Minute, "the lab ended before it was ready: no room"},
		{"exec sleep 60", time.Millisecond, "the lab was not ready within 1ms" + silent},
	} {
		_, err := run(t, []string{"sh", "-c", one.script}, one.within)
		if err == nil || !strings.HasSuffix(err.Error(), one.ends) {
			t.Errorf("%s: %v", one.script, err)
		}
	}
}
