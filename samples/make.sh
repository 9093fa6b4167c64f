#!/bin/sh
# Makes the sample recordings again; needs espeak-ng and sox.
set -eu
cd "$(dirname "$0")"

say() { # OUTPUT VOICE WORDS_A_MINUTE NOISE_DB TEXT
    espeak-ng -m -v "$2" -s "$3" -w voice.wav "<speak>$5</speak>"
    sox -R voice.wav -r 16000 -b 16 rate.wav norm -6
    sox -R rate.wav noise.wav synth pinknoise gain "$4"
    sox -R -m -v 1 rate.wav -v 1 noise.wav -b 16 "$1"
    rm voice.wav rate.wav noise.wav
}

pause() { printf '<break time="%sms"/>' "$1"; }

one="The old lighthouse stands at the end of the harbour."
two="Every evening a boy climbs up to light the lamp."
three="On clear nights sailors can see it twenty miles away."
four="When the fog comes in, he rings the heavy bell."
five="Nobody remembers who built it, or why it leans."
wrong="My sister bought three oranges and a green umbrella."

say reference.flac en-gb 150 -58 \
    "$(pause 300)$one $(pause 800) $two $(pause 800) $three $(pause 800) $four $(pause 800) $five $(pause 400)"
say good-take.flac en-us+f3 135 -52 \
    "$(pause 600)$one $(pause 1200) $two $(pause 600) On clear nights $(pause 650) sailors can see it twenty miles away. $(pause 1000) $four $(pause 700) $five $(pause 500)"
say poor-take.flac en-us+m3 165 -45 \
    "$(pause 400)$one $(pause 900) $two $(pause 900) $wrong $(pause 700) $five $(pause 300)"
