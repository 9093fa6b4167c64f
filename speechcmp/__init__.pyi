__version__: str

from .audio.decode import (
    AudioFile as AudioFile,
    open_audio as open_audio,
)
from .audio.labels import (
    Label as Label,
    to_audacity as to_audacity,
    to_srt as to_srt,
    to_textgrid as to_textgrid,
    to_vtt as to_vtt,
)
from .audio.recording import (
    Level as Level,
    PcmSource as PcmSource,
    Recording as Recording,
    load_recording as load_recording,
    normalize as normalize,
)
from .audio.split import (
    Chunk as Chunk,
    Split as Split,
    SplitParams as SplitParams,
    split_at_silence as split_at_silence,
    split_recording as split_recording,
)
from .batch.manifest import (
    Checked as Checked,
    Manifest as Manifest,
    Row as Row,
    manifest_of as manifest_of,
    open_manifest as open_manifest,
)
from .batch.run import (
    Known as Known,
    compare_pairs as compare_pairs,
)
from .batch.worker import (
    Failure as Failure,
    Scored as Scored,
)
from .calibration.evaluate import (
    Agreement as Agreement,
    Figure as Figure,
    Separation as Separation,
)
from .calibration.fit import (
    Calibrated as Calibrated,
    Examples as Examples,
    RatingFit as RatingFit,
    VerificationFit as VerificationFit,
    calibrate as calibrate,
)
from .comparison.compare import (
    CompareParams as CompareParams,
    Prepared as Prepared,
    compare as compare,
    compare_prepared as compare_prepared,
    distance_matrix as distance_matrix,
    prepare as prepare,
)
from .comparison.mismatch import (
    Mismatch as Mismatch,
)
from .comparison.references import (
    compare_among as compare_among,
    place_in_spread as place_in_spread,
    score_references as score_references,
)
from .comparison.result import (
    ChunkPair as ChunkPair,
    Comparison as Comparison,
    Copy as Copy,
    DistanceMatrix as DistanceMatrix,
    Side as Side,
    Span as Span,
    Spread as Spread,
)
from .comparison.serialize import (
    take_measures as take_measures,
    to_dict as to_dict,
)
from .dtw.warp import (
    WarpingPath as WarpingPath,
    dtw_distance as dtw_distance,
    dtw_distances as dtw_distances,
    dtw_path as dtw_path,
    kernel_name as kernel_name,
)
from .errors import (
    AudioError as AudioError,
    DependencyError as DependencyError,
    ParameterError as ParameterError,
    ParameterMismatchError as ParameterMismatchError,
    SpeechcmpError as SpeechcmpError,
    StoreError as StoreError,
    StoreUnavailableError as StoreUnavailableError,
)
from .features.mfcc import (
    MfccParams as MfccParams,
    mfcc as mfcc,
)
from .features.prosody import (
    Delivery as Delivery,
    PitchContour as PitchContour,
    PitchMatch as PitchMatch,
    Prosody as Prosody,
    ProsodyTrace as ProsodyTrace,
)
from .features.recipes import (
    Recipe as Recipe,
    extract_features as extract_features,
    find_recipe as find_recipe,
)
from .fingerprint.identify import (
    Identified as Identified,
    find_copy as find_copy,
    identify as identify,
)
from .fingerprint.ingest import (
    Fingerprint as Fingerprint,
    Ingested as Ingested,
    IngestFailure as IngestFailure,
    ingest as ingest,
)
from .fingerprint.peaks import (
    FingerprintParams as FingerprintParams,
)
from .fingerprint.store.base import (
    Added as Added,
    LibraryInfo as LibraryInfo,
    NewRecording as NewRecording,
    Preset as Preset,
    Store as Store,
    StoredRecording as StoredRecording,
)
from .fingerprint.store.open import (
    open_store as open_store,
)
from .fingerprint.voting import (
    Hits as Hits,
    Match as Match,
)
from .scoring.impostors import (
    Measures as Measures,
    Stretch as Stretch,
)
from .scoring.model import (
    Curve as Curve,
    ErrorBand as ErrorBand,
    Parts as Parts,
    Score as Score,
    ScoreModel as ScoreModel,
    TakeMeasures as TakeMeasures,
    TextVerifier as TextVerifier,
    load_model as load_model,
    score_take as score_take,
)
