"""kohya's settings without one here: what has no effect on learning, and what to say of the rest."""

from __future__ import annotations

from typing import Any

_COLOURS = "colours aren't changed in training here. Add altered copies of the pictures if you need them."
_RANDOM = "there the strength is drawn from 0 to the value, here it is the value. Halve it for the same mean."
_MODEL = "it is recognized from the model's own file here. No action is needed."
_TRAINED = "this is set by the method here. See method.name."
LEFT: dict[str, tuple[Any, str]] = {
    "color_aug": (False, _COLOURS),
    "face_crop_aug_range": (
        "",
        "pictures aren't cropped around faces in training here. Prepare them so: dataset prepare.",
    ),
    "keep_tokens_separator": ("", "the first tags are kept by number here. Set dataset.keep_tags."),
    "secondary_separator": ("", "tags are separated by commas alone here. Write groups of tags without commas."),
    "caption_dropout_every_n_epochs": (
        0,
        "captions are left out by chance here. Set dataset.caption_dropout to 1 ÷ it.",
    ),
    "token_warmup_min": ((1, 0), "all tags are shown from the start here. No action is needed."),
    "token_warmup_step": (0, "all tags are shown from the start here. No action is needed."),
    "resize_interpolation": ("", "pictures are resized with one good filter here. No action is needed."),
    "validation_split": (0, "set watch.validation_share and watch.validation_every instead."),
    "validation_split_num": (0, "set a share of the pictures instead: watch.validation_share."),
    "validation_seed": ((None, 0), "the held-out pictures are drawn with train.seed here. No action is needed."),
    "network_multiplier": (1, "a LoRA trains at its full strength here. No action is needed."),
    "conditioning_data_dir": ("", "masks are read from NAME-mask.png next to each picture here. Move them."),
    "custom_attributes": ({}, "this program has no such setting. No action is needed."),
    "noise_offset_random_strength": (False, _RANDOM),
    "ip_noise_gamma_random_strength": (False, _RANDOM),
    "adaptive_noise_scale": (0, "the noise offset doesn't depend on the picture here. No action is needed."),
    "scale_v_pred_loss_like_noise_pred": (
        False,
        "the loss of v-prediction isn't scaled here. See train.snr_weighting.",
    ),
    "v_pred_like_loss": (0, "a loss like that of v-prediction isn't added here. See train.snr_weighting."),
    "weighted_captions": (False, "brackets in captions don't weight words here. Write captions without them."),
    "v2": (False, _MODEL),
    "v_parameterization": (False, _MODEL),
    "sdxl": (False, _MODEL),
    "base_weights": ([], "nothing is merged into the base model here. Merge first: python -m sdft_ext tools merge."),
    "base_weights_multiplier": ([], "nothing is merged into the base model here. Merge first."),
    "resume": ("", "states of other programs can't be resumed. Start from the LoRA: method.lora.continue_from."),
    "full_fp16": (False, "what is trained stays in float32 here, which is more exact. No action is needed."),
    "full_bf16": (False, "what is trained stays in float32 here, which is more exact. No action is needed."),
    "save_model_as": (
        ("safetensors", "diffusers_safetensors"),
        "files are saved as .safetensors here. No action is needed.",
    ),
    "output_dir": ("", "each run has a folder of its own below save.output here. Set it if you like."),
    "no_metadata": (False, "saved files tell how they were made. Set save.private to leave out names and tags."),
    "lr_decay_steps": (0, "no schedule has its own end here. See train.schedule."),
    "lr_scheduler_timescale": (0, "there is no such schedule here. See train.schedule."),
    "lr_scheduler_min_lr_ratio": (0, "the rate falls to 0 here. See train.schedule."),
    "huber_scale": (1, "the loss isn't scaled here. No action is needed."),
    "block_lr": ("", "all blocks have one learning rate here. Freeze some: method.full.frozen."),
    "num_processes": (
        (0, 1),
        "each process trains batches of its own there. Start this program with accelerate launch, too.",
    ),
    "train_inpainting": (False, "inpainting models aren't trained here."),
    "additional_parameters": ("", "arguments in one text aren't read. Set what they say."),
    "training_comment": ("", "a run has no comment here. Use save.name."),
    "use_8bit_adam": (False, "optimizer_type decides. No action is needed."),
    "use_lion_optimizer": (False, "optimizer_type decides. No action is needed."),
    "train_text_encoder": (False, _TRAINED),
    "learning_rate_te": (0, _TRAINED),
    "learning_rate_te1": (0, _TRAINED),
    "learning_rate_te2": (0, _TRAINED),
    "unet_lr": (0, _TRAINED),
    "text_encoder_lr": (0, _TRAINED),
    "network_dim": ((0, 1, 4, 8), _TRAINED),
    "network_alpha": ((0, 1), _TRAINED),
    "fused_backward_pass": (
        False,
        "gradients are kept until the step here, which takes more memory. No action is needed.",
    ),
    "max_token_length": ((75, 150, 225), "captions are read to their end here."),
    "no_token_padding": (
        False,
        "captions are padded to 75 tokens here, as when pictures are drawn. No action is needed.",
    ),
    "dataset_class": ("", "code that a settings file names is never run."),
    "immiscible_noise": (0, "noise isn't assigned to pictures by distance here. No action is needed."),
    "alpha_mask": (False, "transparency is used as the mask where dataset.alpha is mask."),
    "random_crop": (False, "see dataset.crop."),
}
"""By name: the values without an effect, and what to say of any other: why it was left out, and what to do."""
_QUIET = """
    accelerate_launch ae apply_t5_attn_mask async_upload cache_info cache_text_encoder_outputs
    cache_text_encoder_outputs_to_disk caption_extention clip_g clip_l config_file console_log_file
    console_log_level console_log_simple ddp_gradient_as_bucket_view ddp_static_graph ddp_timeout debug_dataset
    deepspeed disable_mmap_load_safetensors dynamo_backend dynamo_mode dynamo_use_dynamic dynamo_use_fullgraph
    epoch extra_accelerate_launch_args fp8_base fp8_base_unet gpu_ids highvram huber_c huber_schedule
    huggingface_path_in_repo huggingface_repo_id huggingface_repo_type huggingface_repo_visibility
    huggingface_token initial_epoch initial_step log_config log_prefix log_tracker_config log_tracker_config_dir
    log_tracker_name log_with logging_dir lowram lr_warmup main_process_port max_data_loader_n_workers
    mem_eff_attn metadata_author metadata_description metadata_license metadata_tags metadata_title model_list
    multi_gpu no_half_vae num_cpu_threads_per_process num_machines offload_optimizer_device output_config
    persistent_data_loader_workers resume_from_huggingface sample_sampler save_last_n_epochs_state
    save_last_n_steps_state save_state save_state_on_train_end save_state_to_huggingface sdpa
    sdxl_cache_text_encoder_outputs sdxl_no_half_vae skip_cache_check skip_latents_validity_check
    skip_until_initial_step stop_text_encoder_training_pct t5xxl t5xxl_device t5xxl_dtype t5xxl_lr
    tokenizer_cache_dir torch_compile use_safetensors use_shell vae_batch_size wandb_api_key wandb_run_name
    xformers zero_stage
"""
QUIET = frozenset(_QUIET.split())
