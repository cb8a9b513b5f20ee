"""Speak the sample calls of `data/recordings` with Debian's `flite` and encode them.

Run it only to change the samples: they are kept in git, so users need neither this script nor flite.
The same script gives the same bytes; check a change with `git status`.

    apt install flite
    python scripts/make_samples.py [folder]
"""

from __future__ import annotations

import io
import subprocess
import sys
import tempfile
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from llm_assets.recordings.encode import FLAC, OPUS, Encoder, Encoding, Samples

SAMPLE_RATE = 16_000
VOICES = {"agent": "slt", "customer": "rms"}
PAUSES_SECONDS = (0.5, 0.6, 0.4)
EDGE_SECONDS = 0.3
LOUDNESS = 0.7

MP3 = Encoding("mp3", "mp3", "libmp3lame", bit_rate=32_000)
WAV = Encoding("wav", "wav", "pcm_s16le")
M4A = Encoding("m4a", "ipod", "aac", bit_rate=32_000)

Turn = tuple[str, str]


@dataclass(frozen=True)
class Call:
    """One recording. A stereo call has the agent on the left and the customer on the right."""

    path: str
    encoding: Encoding
    turns: tuple[Turn, ...]
    stereo: bool = False
    kept_share: float = 1.0


CALLS = (
    Call(
        "2026-03-02/1040 refund request.ogg",
        OPUS,
        (
            ("agent", "Good morning. This is customer service. How can I help you today?"),
            ("customer", "Hello. I bought a computer from your shop last week, and it does not work."),
            ("agent", "What is the problem with the computer?"),
            ("customer", "The screen is broken. I am very disappointed. I want a refund."),
            ("agent", "I understand. The money will be back in your account in five days."),
            ("customer", "All right. Thank you for your help."),
        ),
    ),
    Call(
        "2026-03-02/1041-internet-outage.ogg",
        OPUS,
        (
            ("agent", "Good morning. This is the help desk. What is wrong?"),
            ("customer", "My internet does not work. It has been down for two days."),
            ("agent", "We are sorry about this. There is a power outage in your area."),
            ("customer", "This is terrible. I work from home, and I need the internet."),
            ("agent", "Our team is working on the problem. The service will be back this evening."),
            ("customer", "I hope so. Please call me when it is fixed."),
            ("agent", "We will call you tomorrow morning. Goodbye."),
        ),
        stereo=True,
    ),
    Call(
        "2026-03-02/1042-wrong-number.wav",
        WAV,
        (
            ("agent", "Good afternoon. How can I help you?"),
            ("customer", "Hello. Is this the hospital? I need to talk to my doctor."),
            ("agent", "I think you have the wrong number. This is not the hospital."),
            ("customer", "I'm sorry about that. Goodbye."),
        ),
    ),
    Call(
        "2026-03-02/1043-praise.flac",
        FLAC,
        (
            ("agent", "Good morning. How can I help you today?"),
            ("customer", "I just want to tell you that your service is excellent."),
            ("agent", "That is good to hear. What did you like best?"),
            ("customer", "A man came to my house on Monday, and he fixed my heating. He was very friendly."),
            ("agent", "We are happy to hear that. I will tell him about it."),
            ("customer", "I am very happy with your company. Goodbye."),
        ),
    ),
    Call(
        "2026-03-03/1050 customer's cancellation.ogg",
        OPUS,
        (
            ("agent", "Good morning. How can I help you?"),
            ("customer", "I want to cancel my contract. It is too expensive."),
            ("agent", "We can give you a better price. Are you interested?"),
            ("customer", "No, thank you very much. I found a better offer from another company."),
            ("agent", "I understand. I will cancel your contract at the end of the month."),
            ("customer", "Will you send me a letter?"),
            ("agent", "Yes. You will get a letter next week."),
            ("customer", "Good. That is all. Goodbye."),
        ),
    ),
    Call(
        "2026-03-03/1051-delivery-complaint.mp3",
        MP3,
        (
            ("agent", "Good morning. How can I help you?"),
            ("customer", "I have a complaint. I bought a table three weeks ago, and it is still not here."),
            ("agent", "We are sorry about the delay. What is your order number?"),
            ("customer", "The number is four seven two five. I am really angry about this."),
            ("agent", "The table is still in our warehouse. The driver did not have your address."),
            ("customer", "Nobody called me. I think that is a very bad service."),
            ("agent", "We will bring it to you on Friday morning."),
            ("customer", "All right. Please do not forget."),
        ),
    ),
    Call(
        "2026-03-03/1052-billing-question.opus",
        OPUS,
        (
            ("agent", "Good afternoon. How can I help you today?"),
            ("customer", "I have a question about my bill. Why do I have to pay ninety dollars this month?"),
            ("agent", "Let me check. I see many calls to another country."),
            ("customer", "That is right. I called my sister in Canada."),
            ("agent", "We have an offer for you. You can call Canada for ten dollars a month."),
            ("customer", "That is a good idea. Please send me the information."),
            ("agent", "I will send you an email today."),
        ),
    ),
    Call("2026-03-03/1053-hang-up.ogg", OPUS, (("agent", "Good afternoon. Goodbye."),)),
    Call(
        "2026-03-04/1060-technical-support.ogg",
        OPUS,
        (
            ("agent", "This is the help desk. What is the problem?"),
            ("customer", "I cannot log in. The computer says that my password is wrong."),
            ("agent", "No problem. I can help you with that. Did you change your password?"),
            ("customer", "Yes. I did that last night."),
            ("agent", "Please turn off the computer, and wait for one minute. Then turn it on again."),
            ("customer", "It is working now. Thank you very much. That was quick."),
            ("agent", "You are welcome. Goodbye."),
        ),
    ),
    Call(
        "2026-03-04/1061 café appointment.ogg",
        OPUS,
        (
            ("agent", "Good morning. How can I help you?"),
            ("customer", "I have a small restaurant, and I need a new coffee machine."),
            ("agent", "We can send somebody on Thursday. Is that a good day for you?"),
            ("customer", "No, I have to work on Thursday. Can he come on Friday at ten o'clock?"),
            ("agent", "Yes. He will be there on Friday at ten o'clock. What is your address?"),
            ("customer", "My restaurant is near the train station."),
            ("agent", "All right. We will see you on Friday. Goodbye."),
        ),
    ),
    Call(
        "2026-03-04/1062-double-payment.ogg",
        OPUS,
        (
            ("agent", "Thank you for calling. How can I help you?"),
            ("customer", "You took the money from my account two times. I want my money back."),
            ("agent", "We are very sorry about that mistake. Let me look at your account."),
            ("customer", "This is the second time this year. I am not happy."),
            ("agent", "You are right. We will pay you back forty dollars today."),
            ("customer", "And how can I be sure that it will not happen again?"),
            ("agent", "I will talk to my manager, and she will call you on Tuesday."),
            ("customer", "Fine. I will wait for her call."),
        ),
    ),
    # An upload that stopped half way: the index, which an .m4a has at its end, never arrived.
    Call(
        "2026-03-04/1063-broken-upload.m4a",
        M4A,
        (("agent", "Good morning. How can I help you?"), ("customer", "Hello. Can you hear me?")),
        kept_share=0.5,
    ),
)


def speak(text: str, voice: str) -> Samples:
    """The text as samples, without the silence flite puts around it."""
    with tempfile.NamedTemporaryFile(suffix=".wav") as file:
        subprocess.run(["flite", "-voice", voice, "-t", text, "-o", file.name], check=True)
        with wave.open(io.BytesIO(Path(file.name).read_bytes())) as sound:
            if sound.getframerate() != SAMPLE_RATE:
                raise SystemExit(f"flite's voice {voice} has {sound.getframerate()} Hz, not {SAMPLE_RATE}")
            samples = np.frombuffer(sound.readframes(sound.getnframes()), dtype=np.int16)
    loud = np.flatnonzero(np.abs(samples.astype(np.int32)) > 100)
    spoken = samples[loud[0] : loud[-1] + 1]
    return (spoken * (LOUDNESS * 32767 / np.abs(spoken.astype(np.int32)).max())).astype(np.int16)


def silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * SAMPLE_RATE), dtype=np.int16)


def parts_of(call: Call) -> Iterator[tuple[str, Samples]]:
    """Who is heard when: silence, then the turns with pauses between them, then silence."""
    yield "nobody", silence(EDGE_SECONDS)
    for index, (who, text) in enumerate(call.turns):
        if index:
            yield "nobody", silence(PAUSES_SECONDS[index % len(PAUSES_SECONDS)])
        yield who, speak(text, VOICES[who])
    yield "nobody", silence(EDGE_SECONDS)


def samples_of(call: Call) -> Samples:
    """The whole call, interleaved when it is stereo."""
    parts = list(parts_of(call))
    if not call.stereo:
        return np.concatenate([samples for _, samples in parts])
    sides = [
        np.concatenate([samples if who == side else np.zeros_like(samples) for who, samples in parts])
        for side in ("agent", "customer")
    ]
    return np.stack(sides, axis=1).reshape(-1)


def make(call: Call, folder: Path) -> tuple[int, float]:
    """Write one recording; gives its size in bytes and its duration in seconds."""
    samples = samples_of(call)
    channels = 2 if call.stereo else 1
    with Encoder(call.encoding, SAMPLE_RATE, channels) as encoder:
        encoder.write(samples)
        audio = encoder.finish()
    target = folder / call.path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(audio[: int(len(audio) * call.kept_share)])
    return target.stat().st_size, len(samples) / channels / SAMPLE_RATE


def main() -> None:
    default = Path(__file__).resolve().parent.parent / "data" / "recordings"
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else default
    total_bytes, total_seconds = 0, 0.0
    for call in CALLS:
        size_bytes, seconds = make(call, folder)
        print(f"{call.path:50} {size_bytes:>9,} bytes {seconds:6.1f} s")
        total_bytes, total_seconds = total_bytes + size_bytes, total_seconds + seconds
    print(f"{'together':50} {total_bytes:>9,} bytes {total_seconds:6.1f} s")


if __name__ == "__main__":
    main()
