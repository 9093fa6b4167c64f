__version__: str

from .audio.decode import (
    AudioFile as AudioFile,
    open_audio as open_audio,
)
from .audio.recording import (
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
    Manifest as Manifest,
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
from .calibration.fit import (
    Calibrated as Calibrated,
    Examples as Examples,
    calibrate as calibrate,
)
from .comparison.compare import (
    CompareParams as CompareParams,
    compare as compare,
)
from .comparison.references import (
    compare_among as compare_among,
    place_in_spread as place_in_spread,
    score_references as score_references,
)
from .comparison.result import (
    ChunkPair as ChunkPair,
    Comparison as Comparison,
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
from .features.recipes import (
    Recipe as Recipe,
)
from .fingerprint.identify import (
    Identified as Identified,
    identify as identify,
)
from .fingerprint.store.base import (
    Store as Store,
)
from .fingerprint.store.open import (
    open_store as open_store,
)
from .fingerprint.voting import (
    Match as Match,
)
from .scoring.model import (
    Score as Score,
    ScoreModel as ScoreModel,
    TakeMeasures as TakeMeasures,
    load_model as load_model,
    score_take as score_take,
)
