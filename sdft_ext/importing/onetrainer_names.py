"""OneTrainer's settings without one here: what has no effect on learning, and what to say of the rest."""

from __future__ import annotations

from typing import Any

_MODEL = "it is recognized from the model's own file here. No action is needed."
LEFT: dict[str, tuple[Any, str]] = {
    "custom_learning_rate_scheduler": (
        "",
        "code that a settings file names is never run. Choose one in train.schedule.",
    ),
    "scheduler_params": ([], "code that a settings file names is never run. Choose one in train.schedule."),
    "generalized_offset_noise": (False, "the noise offset is the same at all timesteps here. No action is needed."),
    "force_v_prediction": (False, _MODEL),
    "force_epsilon_prediction": (False, _MODEL),
    "timestep_shift": (1, "timesteps aren't shifted here. See train.timestep_distribution."),
    "dynamic_timestep_shifting": (False, "timesteps aren't shifted here. See train.timestep_distribution."),
    "loss_scaler": ("NONE", "the loss isn't multiplied here: only gradient clipping notices. See train.clip_norm."),
    "learning_rate_scaler": ("NONE", "it is in the learning rates already."),
    "normalize_masked_area_loss": (False, "pictures with small masks count less here. No action is needed."),
    "masked_prior_preservation_weight": (0, "what lies outside the mask isn't preserved. See train.unmasked_weight."),
    "custom_conditioning_image": (False, "there are no conditioning pictures here."),
    "lora_decompose_norm_epsilon": ((True, False), ""),
    "lora_decompose_output_axis": (False, "DoRA's norms are along the input here, as the WebUI reads them."),
    "lokr_full_matrix": (False, "LoKr's larger factor has the rank of method.lora.rank here. Raise it."),
    "lokr_decompose_both": (False, "LoKr's larger factor alone is split into low rank here. Lower method.lora.factor."),
    "lokr_use_tucker": (False, "convolutions aren't factorized by Tucker here. The result is a little larger."),
    "lokr_weight_decompose": (False, "the weight decomposition is only made with a LoRA here (dora)."),
    "bundle_additional_embeddings": ((True, False), ""),
    "validation": (
        False,
        "set watch.validation_share and watch.validation_every instead.",
    ),
    "sample_skip_first": (0, "control pictures begin at step 0 here. No action is needed."),
    "save_skip_first": (0, "saves are skipped by epochs here. Set save.first_epoch."),
    "multi_gpu": (False, "several GPUs train with: accelerate launch. See docs/processes.md."),
    "force_circular_padding": (False, "pictures that tile aren't trained here."),
    "vb_loss_strength": (1, "there is no such loss here. No action is needed."),
    "only_cache": (False, "nothing is only cached here. No action is needed."),
    "weight_dtype": (("FLOAT_32", "FLOAT_16", "BFLOAT_16"), "frozen weights keep the loaded model's format here."),
    "offload_fraction": (0, "weights are moved to the computer's memory by need here. No action is needed."),
    "lora_alpha": ((0, 1), "there is no LoRA with this method."),
    "lora_rank": ((0, 16), "there is no LoRA with this method."),
    "peft_type": ("LORA", "there is no LoRA with this method."),
}
"""By name: the values without an effect, and what to say of any other: why it was left out, and what to do."""
_QUIET = """
    __version async_gradient_reduce async_gradient_reduce_buffer async_offloading activation_offloading attention_mask
    attention_mechanism backup_after backup_after_unit backup_before_save cache_dir clear_cache_before_training cloud
    coft_eps oft_coft
    compile concept_file_name continue_last_backup dataloader_threads debug_dir debug_mode decoder decoder_text_encoder
    decoder_vqgan device_indexes effnet_encoder embedding_weight_dtype enable_activation_offloading
    enable_async_offloading enable_autocast_cache fallback_train_dtype frames fused_gradient_reduce
    gradient_reduce_precision guidance_scale huggingface_cache_dir include include_train_config layer_offload_fraction
    lokr_dora_on_output lokr_vec_trick lora_weight_dtype model_name non_ema_sampling offline_mode oft_block_share
    oft_block_size oft_scaled optimizer_defaults output_model_format prevent_overwrites prior quantization
    rolling_backup rolling_backup_count sample_audio_format sample_definition_file_name sample_image_format
    sample_video_format samples_to_tensorboard save_filename_prefix secrets stop_training_after stop_training_after_unit
    temp_device tensorboard_always_on tensorboard_expose tensorboard_port text_encoder_2_sequence_length
    text_encoder_3 text_encoder_3_layer_skip text_encoder_4 text_encoder_4_layer_skip text_encoder_sequence_length
    train_device train_embedding transformer unconditional_transformer validate_after validate_after_unit workspace_dir
    lokr_dim lokr_decompose_factor layer_filter layer_filter_preset layer_filter_regex embedding
    embedding_learning_rate preserve_embedding_norm text_encoder_2 text_encoder_2_layer_skip dropout_probability
    gradient_checkpointing learning_rate train ema_decay ema_update_step_interval huber_delta learning_rate_cycles
"""
QUIET = frozenset(_QUIET.split())
